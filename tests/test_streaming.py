"""Regions that data are copied by: they cover everything once, in whole chunks, and stay small."""

from __future__ import annotations

import math
import sys

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from zarrc.streaming import regions

LIMIT = sys.modules["zarrc.streaming"]._REGION_NBYTES  # type: ignore[attr-defined]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=4),
    st.sampled_from([1, 2**16, 2**22, 2**28]),
)
def test_regions_cover_everything_once_in_whole_steps(axes: list[tuple[int, int]], itemsize: int) -> None:
    shape = tuple(length for length, _ in axes)
    steps = tuple(step for _, step in axes)
    seen = np.zeros(shape, dtype="i4")
    for region in regions(shape, steps, itemsize):
        seen[region] += 1
        extents = [part.stop - part.start for part in region]
        assert all(part.start % step == 0 for part, step in zip(region, steps, strict=True))
        assert math.prod(extents) * itemsize <= max(LIMIT, math.prod(steps) * itemsize)
    assert (seen == 1).all()


def test_regions_are_as_large_as_the_limit_lets_them_be() -> None:
    shape, steps = (1000, 1000, 1000), (10, 100, 100)
    sizes = [math.prod(part.stop - part.start for part in region) * 8 for region in regions(shape, steps, 8)]
    assert max(sizes) > LIMIT // 2
    assert len(sizes) < 2 * math.prod(shape) * 8 / LIMIT + 1
