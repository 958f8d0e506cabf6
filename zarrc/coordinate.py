"""One coordinate: the numbers or times along a dimension, and where labels are among them."""

from __future__ import annotations

import bisect
import math
import operator
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from zarrc.cf_time import TimeAxis, time_axis
from zarrc.errors import LabelError, MetadataError, SelectionError
from zarrc.reading import choices, show
from zarrc.warning import warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Located = int | slice | npt.NDArray[np.int64]
    Key = int | float | Fraction

__all__ = ["METHODS", "Coordinate"]

METHODS: Final = {
    "nearest": "nearest",
    "pad": "pad",
    "ffill": "pad",
    "backfill": "backfill",
    "bfill": "backfill",
}
"""The ways to take what is near a label, by all their names."""


class Coordinate:
    """The values along one dimension, in their order, and where labels are among them.

    Parameters
    ----------
    name : str
        Name of the dimension.
    values : numpy.ndarray
        The coordinate array's numbers, one for each index.
    attributes : Mapping
        Its attributes: ``units`` and ``calendar`` of times, ``scale_factor`` and ``add_offset``.

    Raises
    ------
    MetadataError
        If its attributes are not understood, or its values are no numbers.
    """

    def __init__(self, name: str, values: npt.NDArray[Any], attributes: Mapping[str, Any]) -> None:
        self.name = name
        if values.dtype.kind not in "iuf":
            raise MetadataError(
                f"coordinate {name!r} is of data type {values.dtype}: labels are looked up among integers, "
                "floats and times"
            )
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        values = _unpacked(values, attributes, name)
        try:
            self.times: TimeAxis | None = time_axis(
                attributes.get("units"), attributes.get("calendar"), values.dtype
            )
            if self.times is not None:
                values = self.times.decode(values)
        except MetadataError as error:
            raise MetadataError(f"coordinate {name!r}: {error.message}") from None
        self.values = values
        self.n = len(values)
        self.order = _order(values)
        # NaN is sorted behind all others.
        self._n_known = self.n - int(np.count_nonzero(values != values))
        self._sorter: npt.NDArray[np.int64] | None = None
        if self.order == 0:
            self._sorter = np.argsort(values, kind="stable")
            self._rising = values[self._sorter]
        else:
            self._rising = values if self.order > 0 else values[::-1]

    # --- places in rising order, and indices

    def _index(self, place: Any) -> Any:
        """Return the index of a place in rising order."""
        if self._sorter is not None:
            return self._sorter[place]
        return place if self.order > 0 else self.n - 1 - place

    def _below(self, key: Key) -> int:
        """How many values are less than ``key``."""
        if self._rising.dtype.kind == "f":
            return int(np.searchsorted(self._rising, self._rising.dtype.type(key), side="left"))
        return bisect.bisect_left(self._rising, _whole(key, math.ceil))

    def _upto(self, key: Key) -> int:
        """How many values are not greater than ``key``."""
        if self._rising.dtype.kind == "f":
            return int(np.searchsorted(self._rising, self._rising.dtype.type(key), side="right"))
        return bisect.bisect_right(self._rising, _whole(key, math.floor))

    # --- labels

    def _key(self, label: Any) -> Key:
        """Return what a label is among the values."""
        if isinstance(label, np.ndarray) and label.shape == ():
            label = label[()]
        if self.times is not None:
            try:
                return self.times.key(label)
            except SelectionError as error:
                raise SelectionError(f"dimension {self.name!r}: {error.message}") from None
        number = label.item() if isinstance(label, np.generic) else label
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise SelectionError(
                f"dimension {self.name!r} is labelled by numbers ({self.values.dtype}), got {show(label)}"
            )
        if number != number:
            raise SelectionError(f"dimension {self.name!r}: NaN is no label")
        if self.values.dtype.kind != "f":
            return number
        try:
            # 51.3 is to find the float32 that was made of it.
            with np.errstate(over="ignore"):
                return float(self.values.dtype.type(number))
        except OverflowError:
            return math.inf if number > 0 else -math.inf

    def locate(self, label: Any, method: str | None, tolerance: Any) -> Located:
        """Return where a label, a slice of labels, or a list of them is.

        Raises
        ------
        LabelError
            If a label is not there.
        SelectionError
            If it is of a kind that does not fit.
        """
        if isinstance(label, slice):
            return self._slice(label)
        is_list = isinstance(label, (list, tuple, range)) or hasattr(label, "__array__")
        array = np.asarray(label) if is_list else None
        if array is not None and array.ndim:
            return self._list(label, array, method, tolerance)
        if method is None and self.times is not None and isinstance(label, str):
            return self._text(label)
        return int(self._one(label, method, tolerance))

    def _text(self, label: str) -> Located:
        """A text that names a span holds all times in it, one that names a moment is a label."""
        assert self.times is not None
        try:
            is_span = self.times.is_coarser(label, self.values)
            low, high = self.times.period(label)
        except SelectionError as error:
            raise SelectionError(f"dimension {self.name!r}: {error.message}") from None
        if not is_span:
            return int(self._one(label, None, None))
        first, last = self._below(low), self._below(high)
        if first == last:
            raise LabelError(f"no {self.name} is in {label}; {self._near(low)}")
        if self.order == 0:
            return np.sort(self._index(np.arange(first, last)))
        return slice(first, last) if self.order > 0 else slice(self.n - last, self.n - first)

    def _one(self, label: Any, method: str | None, tolerance: Any) -> int:
        key = self._key(label)
        first, last = self._below(key), self._upto(key)
        if first == last:
            if method is None:
                raise LabelError(f"no {self.name} is {self._said(label)}; {self._near(key)}")
            place = self._approached(label, key, first, METHODS[method], tolerance)
            value = self._rising[place].item()
            first, last = self._below(value), self._upto(value)
        if last - first > 1:
            found = np.sort(self._index(np.arange(first, last)))
            raise LabelError(
                f"{self.name} is {self._text_of(first)} at {last - first} indices, such as {found[0]} and "
                f"{found[1]}; select by position, or with a slice of labels"
            )
        return int(self._index(first))

    def _approached(self, label: Any, key: Key, place: int, method: str, tolerance: Any) -> int:
        """Return the place of a value near a label that is not there itself: before ``place``, or at it."""
        if self.order == 0:
            raise SelectionError(
                f"coordinate {self.name!r} is not sorted: only labels that are there can be looked up"
            )
        if method == "nearest":
            near = self._nearest(key, place)
        else:
            # Padding takes what comes before in the order of the indices, in a falling coordinate the larger.
            near = place - 1 if (method == "pad") == (self.order > 0) else place
        if not 0 <= near < self.n:
            side = "before" if method == "pad" else "after"
            reason = f"none comes {side} it" if self.n else "there are none at all"
            raise LabelError(f"no {self.name} is near {self._said(label)}: {reason}; {self._near(key)}")
        if tolerance is not None:
            distance = (
                abs(Fraction(self._rising[near].item()) - Fraction(key)) if math.isfinite(key) else None
            )
            if distance is None or distance > self._tolerance(tolerance):
                raise LabelError(
                    f"no {self.name} is within {tolerance} of {self._said(label)}; {self._near(key)}"
                )
        return near

    def _nearest(self, key: Key, place: int) -> int:
        """Return the place of the nearest value; of two the larger."""
        known = self._n_known
        if place == 0 or place >= known:
            return max(min(place, known - 1), 0)
        below, above = (_distance(self._rising[at].item(), key) for at in (place - 1, place))
        return place if above <= below else place - 1

    def _tolerance(self, tolerance: Any) -> Fraction:
        try:
            if self.times is not None:
                found = Fraction(self.times.length(tolerance))
            else:
                found = Fraction(tolerance.item() if isinstance(tolerance, np.generic) else tolerance)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"tolerance: {show(tolerance)} is no distance along {self.name!r}") from None
        if found < 0:
            raise ValueError(f"tolerance must not be negative, got {show(tolerance)}")
        return found

    def _list(
        self, labels: Sequence[Any], array: npt.NDArray[Any], method: str | None, tolerance: Any
    ) -> npt.NDArray[np.int64]:
        if array.ndim > 1:
            raise SelectionError(
                f"dimension {self.name!r}: a list of labels has one dimension, got {array.ndim}"
            )
        if array.dtype.kind == "b":
            raise SelectionError(f"dimension {self.name!r}: a mask selects by position; use isel")
        found = self._many(array) if method is None else None
        if found is not None:
            return found
        return np.array([self._one(label, method, tolerance) for label in labels], dtype=np.int64)

    def _many(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.int64] | None:
        """Look up many numbers at once; None if they are not all there once, or need care."""
        kinds = labels.dtype.kind, self._rising.dtype.kind
        if self.times is not None or kinds not in (("i", "i"), ("f", "f"), ("i", "f")):
            return None
        if bool((labels != labels).any()):
            return None
        keys = labels.astype(self._rising.dtype if kinds[1] == "f" else np.int64)
        first = np.searchsorted(self._rising, keys, side="left")
        if not np.array_equal(np.searchsorted(self._rising, keys, side="right"), first + 1):
            return None
        return np.asarray(self._index(first), dtype=np.int64)

    def _slice(self, labels: slice) -> slice:
        """Return the slice from one label to another, both included."""
        step = None if labels.step is None else operator.index(labels.step)
        if step == 0:
            raise ValueError("slice step cannot be zero")
        if self.order == 0:
            raise SelectionError(
                f"coordinate {self.name!r} is not sorted: a slice of labels has no meaning; select by "
                "position"
            )
        backwards = step is not None and step < 0
        start, stop = (labels.stop, labels.start) if backwards else (labels.start, labels.stop)
        first = 0 if start is None else self._edge(start, is_start=True)
        last = self.n if stop is None else self._edge(stop, is_start=False)
        if first > last and start is not None and stop is not None:
            way = "rises" if self.order > 0 else "falls"
            warn(
                f"a slice of {self.name} from {self._said(start)} to {self._said(stop)} selects nothing: the "
                f"coordinate {way}, {self._extent()}"
            )
        last = max(first, last)
        if not backwards:
            return slice(first, last, step)
        if first == last:
            return slice(0, 0, 1)
        return slice(last - 1, first - 1 if first else None, step)

    def _edge(self, label: Any, *, is_start: bool) -> int:
        """Return the index at which a slice begins, or before which it ends."""
        rising = self.order > 0
        if self.times is not None and isinstance(label, str):
            try:
                low, high = self.times.period(label)
            except SelectionError as error:
                raise SelectionError(f"dimension {self.name!r}: {error.message}") from None
            # All of the year, month or day that a text names is included.
            n = self._below(low if is_start == rising else high)
        else:
            key = self._key(label)
            n = self._below(key) if is_start == rising else self._upto(key)
        return n if rising else self.n - n

    # --- what errors say

    def _said(self, label: Any) -> str:
        return str(label) if isinstance(label, (str, np.generic)) else show(label)

    def _text_of(self, place: int) -> str:
        value = self._rising[place]
        return str(value) if self.times is None else self.times.text(int(value))

    def _near(self, key: Key) -> str:
        """Say what there is instead."""
        if not self.n:
            return "there are none at all"
        place = self._nearest(key, self._below(key))
        near = f"the nearest is {self._text_of(place)}, at index {int(self._index(place))}"
        return f"{near}, of {self._extent()}"

    def _extent(self) -> str:
        if self.order == 0:
            return f"{self.n} unsorted ones"
        ends = (self._text_of(int(self._index(0))), self._text_of(int(self._index(self.n - 1))))
        return f"{ends[0]} to {ends[1]}"


def _distance(value: float, key: Key) -> Fraction | float:
    """How far apart two numbers are: exactly, so that large ones are told apart too."""
    if _is_finite(value) and _is_finite(key):
        return abs(Fraction(value) - Fraction(key))
    return 0 if value == key else math.inf


def _is_finite(number: Key) -> bool:
    return not isinstance(number, float) or math.isfinite(number)


def check_method(method: Any) -> str | None:
    """Return the name of a method, or None."""
    if method is not None and method not in METHODS:
        raise ValueError(f"method must be None or one of {choices(METHODS)}, got {show(method)}")
    return None if method is None else METHODS[method]


def _whole(key: Key, rounded: Any) -> Any:
    """Return a key among integers: a fraction lies between two of them."""
    if isinstance(key, int):
        return key
    return rounded(key) if _is_finite(key) else key


def _order(values: npt.NDArray[Any]) -> int:
    """1 if values rise (or all are the same), -1 if they fall, 0 if they are unsorted."""
    if len(values) < 2:
        return 0 if len(values) and values[0] != values[0] else 1
    if bool((values[1:] >= values[:-1]).all()):
        return 1
    return -1 if bool((values[1:] <= values[:-1]).all()) else 0


def _unpacked(values: npt.NDArray[Any], attributes: Mapping[str, Any], name: str) -> npt.NDArray[Any]:
    """Apply the ``scale_factor`` and ``add_offset`` of a packed coordinate."""
    found: dict[str, float] = {}
    for key, neutral in (("scale_factor", 1.0), ("add_offset", 0.0)):
        number = attributes.get(key, neutral)
        if isinstance(number, (list, tuple)) and len(number) == 1:
            number = number[0]
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise MetadataError(f"coordinate {name!r}: {key} must be a number, got {show(number)}")
        found[key] = float(number)
    if found == {"scale_factor": 1.0, "add_offset": 0.0}:
        return values
    return values.astype(np.float64) * found["scale_factor"] + found["add_offset"]
