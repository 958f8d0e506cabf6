"""Resizes and appends until it is killed (test_resizing_kills.py): ``resize_program PATH SEED``.

Each deed is printed before it is done, and "done" after it: the parent replays them.
"""

from __future__ import annotations

import random
import sys

import numpy as np

import zarrc


def main() -> None:
    """Shrink, grow, append and write, each round with a number of its own."""
    path, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    array = zarrc.open_array(path, mode="r+")
    for number in range(1, 100_000):
        deed = chance.choice(("resize", "append", "write"))
        if deed == "resize":
            shape = chance.randrange(30), chance.randrange(1, 20)
            print("resize", number, *shape, flush=True)
            array.resize(shape)
        elif deed == "append" and array.shape[0] < 40:
            n = chance.randrange(1, 6)
            print("append", number, n, flush=True)
            array.append(np.full((n, array.shape[1]), number))
        else:
            print("write", number, flush=True)
            array[...] = number
        print("done", flush=True)


if __name__ == "__main__":
    main()
