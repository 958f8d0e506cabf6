"""Prints what zarrc says about each bad chunk: `python -m tests.engine.show_bad_input`."""

from __future__ import annotations

from tests.engine.hostile import bad_chunks, make_array, spoil


def main() -> None:
    for bad in bad_chunks():
        array = make_array(bad.codecs)
        spoil(array, bad)
        try:
            found = array[...]
        except Exception as error:  # anything else than the right error shows here
            print(f"{bad}\n    {type(error).__name__}: {error}")
        else:
            print(f"{bad}\n    NO ERROR: {found!r}")


if __name__ == "__main__":
    main()
