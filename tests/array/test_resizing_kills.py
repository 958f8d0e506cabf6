"""A process that is killed while it resizes or appends: what it had is whole, and nothing older is seen."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrc
from tests.array.resize_samples import KINDS
from tests.engine.children import start_module
from tests.soak import count

FILL = -7


def replayed(model: np.ndarray, deed: list[str]) -> np.ndarray:
    """The array after a deed."""
    what, *numbers = deed
    number, *more = map(int, numbers)
    if what == "write":
        return np.full_like(model, number)
    if what == "append":
        return np.concatenate([model, np.full((more[0], model.shape[1]), number, model.dtype)])
    new = np.full(more, FILL, model.dtype)
    both = tuple(map(slice, map(min, model.shape, new.shape)))
    new[both] = model[both]
    return new


@pytest.mark.parametrize("kind", ["regular", "sharded", "appended shards", "v2"])
def test_a_kill_leaves_the_old_array_or_the_new_one(kind: str, tmp_path: Path) -> None:
    chance = random.Random(5)
    n_unfinished = 0
    for seed in range(count(30)):
        path = tmp_path / str(seed)
        keywords: dict[str, Any] = {"dtype": "i4", "fill_value": FILL} | KINDS[kind]
        zarrc.create_array(path, shape=(10, 11), **keywords)
        with start_module("tests.array.resize_program", str(path), str(seed)) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(chance.uniform(0.05, 0.4))
            process.kill()
            out, err = process.communicate()
        assert err == ""
        # A line may be cut by the kill, but for a deed that had not begun.
        lines = (first + out).rpartition("\n")[0].splitlines()
        model = np.full((10, 11), FILL, "i4")
        deeds = [line.split() for line in lines]
        while len(deeds) >= 2:
            assert deeds[1] == ["done"]
            model = replayed(model, deeds[0])
            deeds = deeds[2:]
        array = zarrc.open_array(path)
        found = array[...]
        wanted = [model, *(replayed(model, deed) for deed in deeds)]
        n_unfinished += len(deeds)
        if deeds and deeds[0][0] == "write":
            # Chunk by chunk.
            assert found.shape == model.shape
            assert ((found == wanted[0]) | (found == wanted[1])).all()
        else:
            assert any(found.shape == one.shape and (found == one).all() for one in wanted)
        # Nothing of what was is seen later.
        shape = found.shape
        array.resize(45, 25)
        assert (array[shape[0] :] == FILL).all()
        assert (array[:, shape[1] :] == FILL).all()
    assert n_unfinished > 0
