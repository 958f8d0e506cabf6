"""Times as netCDF files say them: numbers of a unit since a moment, in a calendar of the CF conventions."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from zarrc.errors import MetadataError, SelectionError
from zarrc.reading import choices, show

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["CALENDARS", "Moment", "TimeAxis", "time_axis"]

_SECONDS: Final = {
    Fraction(1, 10**9): ("nanosecond", "nanoseconds", "nanosec", "nanosecs", "ns"),
    Fraction(1, 10**6): ("microsecond", "microseconds", "microsec", "microsecs", "us"),
    Fraction(1, 1000): ("millisecond", "milliseconds", "millisec", "millisecs", "msec", "msecs", "ms"),
    Fraction(1): ("second", "seconds", "sec", "secs", "s"),
    Fraction(60): ("minute", "minutes", "min", "mins"),
    Fraction(3600): ("hour", "hours", "hr", "hrs", "h"),
    Fraction(86400): ("day", "days", "d"),
    Fraction(7 * 86400): ("week", "weeks"),
}
_UNITS: Final = {name: seconds for seconds, names in _SECONDS.items() for name in names}

_SINCE = r"\s*([A-Za-z_]+)\s+since\s+(.+?)\s*"
_MOMENT = (
    r"([+-]?\d{1,9})(?:-(\d{1,2})(?:-(\d{1,2}))?)?"
    r"(?:(?:T|\s+)(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?)?)?"
    r"\s*(Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)?"
)
_LARGEST: Final = 2**62
"""Ticks from the reference to the farthest time: 146,000 years of microseconds."""
_MISSING: Final = -(2**63)
"""What is no time: NaN. No label is there."""
_QUANTA: Final = (1, 10, 100, 1000, 10**4, 10**5, 10**6)

# --- calendars: the number of the day that a date is, counted from an arbitrary one

_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def _gregorian(year: int, month: int, day: int) -> int:
    past = year - 1 if month <= 2 else year
    leaps = past // 4 - past // 100 + past // 400
    return 365 * year + leaps + _BEFORE[month - 1] + day


def _julian(year: int, month: int, day: int) -> int:
    # Two days later in the year 1: the calendars agree in the third century.
    past = year - 1 if month <= 2 else year
    return 365 * year + past // 4 + _BEFORE[month - 1] + day - 2


def _standard(year: int, month: int, day: int) -> int:
    return (_gregorian if (year, month, day) >= (1582, 10, 15) else _julian)(year, month, day)


def _noleap(year: int, month: int, day: int) -> int:
    return 365 * year + _BEFORE[month - 1] + day


def _all_leap(year: int, month: int, day: int) -> int:
    return 366 * year + _BEFORE[month - 1] + (month > 2) + day


def _thirty(year: int, month: int, day: int) -> int:
    return 360 * year + 30 * (month - 1) + day


_COUNTS: dict[str, Callable[[int, int, int], int]] = {
    "standard": _standard,
    "gregorian": _standard,
    "proleptic_gregorian": _gregorian,
    "julian": _julian,
    "noleap": _noleap,
    "365_day": _noleap,
    "all_leap": _all_leap,
    "366_day": _all_leap,
    "360_day": _thirty,
}
CALENDARS: Final = tuple(_COUNTS)
"""The calendars of the CF conventions that are known here."""


class Moment:
    """A moment as it is said: date, time of day in seconds, and how exactly.

    ``resolution`` is the number of parts that were given: 1 for a year, 2 for a month, 3 for a day, 4 to 6
    for hours, minutes and seconds.
    """

    __slots__ = ("day", "month", "resolution", "seconds", "year")

    def __init__(self, year: int, month: int, day: int, seconds: Fraction | int, resolution: int) -> None:
        self.year = year
        self.month = month
        self.day = day
        self.seconds = Fraction(seconds)
        self.resolution = resolution

    @classmethod
    def parse(cls, text: str) -> Moment | None:
        """Return the moment that a text says, in the form of ISO 8601; None if it says none."""
        match = re.fullmatch(_MOMENT, text.strip())
        if match is None:
            return None
        year, month, day, hour, minute, second, fraction, zone = match.groups()
        if hour is not None and day is None:
            return None
        of_day = 3600 * int(hour or 0) + 60 * int(minute or 0) + int(second or 0)
        if int(hour or 0) > 24 or int(minute or 0) > 59 or int(second or 0) > 60 or of_day > 86400:
            return None
        seconds = Fraction(of_day)
        if fraction:
            seconds += Fraction(int(fraction), 10 ** len(fraction))
        given = [part for part in (month, day, hour, minute, second) if part is not None]
        return cls(int(year), int(month or 1), int(day or 1), seconds - _zone_seconds(zone), 1 + len(given))


def _zone_seconds(zone: str | None) -> int:
    if not zone or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
    return (-1 if zone[0] == "-" else 1) * (3600 * int(hours) + 60 * int(minutes))


class TimeAxis:
    """Times along a coordinate, as whole ticks since its reference; a tick is a microsecond, or less.

    Parameters
    ----------
    unit : Fraction
        Seconds that the numbers count.
    reference : Moment
        What they count from.
    calendar : str
        One of ``CALENDARS``.
    dtype : numpy.dtype
        Of the coordinate's numbers.
    """

    def __init__(self, unit: Fraction, reference: Moment, calendar: str, dtype: np.dtype[Any]) -> None:
        self.calendar = calendar
        self._count = _COUNTS[calendar]
        self._dtype = dtype
        self.per_second = 10**9 if unit == Fraction(1, 10**9) else 10**6
        self.unit = int(unit * self.per_second)
        self._quantum = 1
        self._origin = Fraction(0)
        self._origin = Fraction(self.ticks(reference))

    # --- from numbers

    def decode(self, numbers: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the ticks that numbers mean. NaN becomes a time that no label has.

        Floats that are too coarse for ticks are rounded to what they can tell apart, so that a whole second
        is one.

        Raises
        ------
        MetadataError
            If a time is further away than can be told.
        """
        if not numbers.size:
            return np.zeros(0, np.int64)
        if numbers.dtype.kind in "iu":
            if max(abs(int(numbers.min())), abs(int(numbers.max()))) > _LARGEST // self.unit:
                raise _too_far()
            return numbers.astype(np.int64) * np.int64(self.unit)
        times = numbers.astype(np.float64)
        known = np.isfinite(times)
        largest = float(np.abs(times[known]).max(initial=0))
        if largest > _LARGEST / self.unit:
            raise _too_far()
        coarse = float(np.spacing(numbers.dtype.type(largest))) * self.unit
        self._quantum = next((q for q in _QUANTA if q > 2 * coarse), 1) if coarse > 0.5 else 1
        return self._rounded(np.where(known, times, 0), known)

    def _rounded(
        self, times: npt.NDArray[np.float64], known: npt.NDArray[np.bool_] | np.bool_
    ) -> npt.NDArray[np.int64]:
        # Whole units apart from their fraction: a product of both would lose digits.
        whole = np.floor(times)
        part = np.rint((times - whole) * self.unit).astype(np.int64)
        ticks = whole.astype(np.int64) * np.int64(self.unit) + part
        if self._quantum > 1:
            ticks = (ticks + self._quantum // 2) // self._quantum * self._quantum
        return np.where(known, ticks, np.int64(_MISSING))

    # --- from labels

    def key(self, label: Any) -> int | Fraction:
        """Return the ticks of a label: a text, a date or time, or a number as the coordinate's own.

        Raises
        ------
        SelectionError
            If it is no time, or none of the calendar.
        """
        if isinstance(label, str):
            return self.ticks(self.moment(label))
        if isinstance(label, np.datetime64):
            return self.ticks(_of_numpy(label))
        if hasattr(label, "year") and hasattr(label, "month"):
            return self.ticks(_of_fields(label))
        if isinstance(label, np.generic):
            label = label.item()
        if isinstance(label, bool) or not isinstance(label, (int, float)):
            raise SelectionError(f"{show(label)} is no time; a text such as '2000-01-31T12:00' is one")
        if not math.isfinite(label) or abs(label) > _LARGEST / self.unit:
            raise SelectionError(f"{show(label)} is no time")
        if self._dtype.kind in "iu":
            return _plain(Fraction(label) * self.unit)
        return int(self._rounded(np.array([self._dtype.type(label)], np.float64), np.True_)[0])

    def moment(self, text: str) -> Moment:
        """Return the moment that a text says.

        Raises
        ------
        SelectionError
            If it says none.
        """
        found = Moment.parse(text)
        if found is None:
            raise SelectionError(f"{show(text)} is no time; write it as 2000, 2000-01 or 2000-01-31T12:00")
        return found

    def ticks(self, moment: Moment) -> int | Fraction:
        """Return the ticks from the reference to a moment."""
        self._check(moment)
        days = self._count(moment.year, moment.month, moment.day)
        return _plain((days * 86400 + moment.seconds) * self.per_second - self._origin)

    def _check(self, moment: Moment) -> None:
        year, month, day = moment.year, moment.month, moment.day
        if not 1 <= month <= 12 or not 1 <= day <= self._month_days(year, month):
            raise SelectionError(
                f"{year:04d}-{month:02d}-{day:02d} is no date of the calendar {self.calendar!r}"
            )
        if self._count is _standard and (1582, 10, 5) <= (year, month, day) < (1582, 10, 15):
            raise SelectionError(
                f"{year}-{month}-{day} is no date of the calendar {self.calendar!r}: the fourth of October "
                "1582 was followed by the fifteenth"
            )

    def _month_days(self, year: int, month: int) -> int:
        if self._count is _thirty:
            return 30
        if month != 2:
            return _DAYS[month - 1]
        if self._count in (_noleap, _all_leap):
            return 28 if self._count is _noleap else 29
        julian = self._count is _julian or (self._count is _standard and year <= 1582)
        return 29 if year % 4 == 0 and (julian or year % 100 != 0 or year % 400 == 0) else 28

    def period(self, text: str) -> tuple[int | Fraction, int | Fraction]:
        """Return the ticks in which what a text names begins, and in which it ends: the year, month, ..."""
        first = self.moment(text)
        begin = self.ticks(first)
        if first.resolution <= 2:
            year, month = first.year, first.month
            if first.resolution == 1 or month == 12:
                year, month = year + 1, 1
            else:
                month += 1
            # A zone that was given moves the end too.
            return begin, self.ticks(Moment(year, month, 1, first.seconds, 3))
        length = {3: 86400, 4: 3600, 5: 60, 6: 1}[first.resolution]
        if first.resolution == 6 and first.seconds.denominator != 1:
            return begin, begin + 1
        return begin, begin + length * self.per_second

    def is_coarser(self, text: str, ticks: npt.NDArray[np.int64]) -> bool:
        """Whether a text names a span in which several of these times could lie, and not one of them."""
        resolution = self.moment(text).resolution
        if resolution <= 2:
            return True
        unit = {3: 86400, 4: 3600, 5: 60, 6: 1}[resolution] * self.per_second
        # Counted from a midnight, where the reference is not one.
        origin = int(self._origin) % unit
        return bool(((ticks[ticks != _MISSING] + origin) % unit).any())

    def length(self, span: Any) -> int | Fraction:
        """Return a span of time in ticks: a timedelta of Python or NumPy, or a number of the axis' units."""
        if isinstance(span, datetime.timedelta):
            micro = (span.days * 86400 + span.seconds) * 10**6 + span.microseconds
            return _plain(Fraction(micro * self.per_second, 10**6))
        if isinstance(span, np.timedelta64):
            nano = span.astype("timedelta64[ns]").astype(np.int64)
            return _plain(Fraction(int(nano) * self.per_second, 10**9))
        return _plain(Fraction(span) * self.unit)

    # --- to texts

    def text(self, ticks: int) -> str:
        """Return a time as ISO 8601 writes it, as short as it can be."""
        if ticks == _MISSING:
            return "no time"
        since = ticks + self._origin
        days, rest = divmod(since, 86400 * self.per_second)
        year = int(days) // 366
        while self._count(year + 1, 1, 1) <= days:
            year += max((int(days) - self._count(year + 1, 1, 1)) // 366, 1)
        while self._count(year, 1, 1) > days:
            year -= 1
        month = next(month for month in range(12, 0, -1) if self._count(year, month, 1) <= days)
        day = int(days) - self._count(year, month, 1) + 1
        if self._count is _standard and (year, month) == (1582, 10) and day > 4:
            day += 10
        date = f"{year:04d}-{month:02d}-{day:02d}"
        seconds, fraction = divmod(Fraction(rest) / self.per_second, 1)
        if not rest:
            return date
        clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
        if seconds % 60 or fraction:
            clock += f":{seconds % 60:02d}"
        if fraction:
            clock += f".{int(fraction * 10**9):09d}".rstrip("0")
        return f"{date}T{clock}"


def time_axis(units: object, calendar: object, dtype: np.dtype[Any]) -> TimeAxis | None:
    """Return the times that a coordinate's attributes tell; None if its numbers are no times.

    Raises
    ------
    MetadataError
        If they tell times in a way that is not known here.
    """
    if not isinstance(units, str) or " since " not in units:
        return None
    match = re.fullmatch(_SINCE, units)
    reference = None if match is None else Moment.parse(match[2])
    if match is None or reference is None:
        raise MetadataError(f"units: cannot read {show(units)}; times are said as 'days since 2000-01-01'")
    name = match[1]
    kind = "standard" if calendar is None else calendar
    if not isinstance(kind, str) or kind.lower() not in _COUNTS:
        raise MetadataError(f"calendar: {show(calendar)} is not known here; known: {choices(CALENDARS)}")
    kind = kind.lower()
    unit = _UNITS.get(name if name in _UNITS else name.lower())
    if unit is None and kind == "360_day" and name.lower() in ("month", "months"):
        unit = Fraction(30 * 86400)
    if unit is None:
        raise MetadataError(
            f"units: {show(units)} counts {name!r}, which are not of one length, or not known here; "
            "days, hours, minutes and seconds are"
        )
    try:
        return TimeAxis(unit, reference, kind, dtype)
    except SelectionError as error:
        raise MetadataError(f"units: cannot read {show(units)}: {error.message}") from None


def _too_far() -> MetadataError:
    return MetadataError("times: further from the reference than can be told")


def _plain(ticks: Fraction) -> int | Fraction:
    return int(ticks) if ticks.denominator == 1 else ticks


def _of_numpy(label: np.datetime64) -> Moment:
    if np.isnat(label):
        raise SelectionError("NaT is no time")
    day = label.astype("datetime64[D]")
    text = str(day)
    found = Moment.parse(text)
    if found is None:
        raise SelectionError(f"{label!r} is no time")
    unit = np.datetime_data(label.dtype)[0]
    if unit in ("Y", "M", "W", "D"):
        return found
    # What is finer than a nanosecond is not kept.
    within = (label - day).astype("timedelta64[ns]").astype(np.int64)
    return Moment(found.year, found.month, found.day, Fraction(int(within), 10**9), 6)


def _of_fields(label: Any) -> Moment:
    """Return the moment of a date or time of Python, cftime or pandas."""
    if getattr(label, "tzinfo", None) is not None:
        label = label.astimezone(datetime.UTC)
    try:
        seconds = 3600 * getattr(label, "hour", 0) + 60 * getattr(label, "minute", 0)
        seconds += getattr(label, "second", 0)
        parts = Fraction(getattr(label, "microsecond", 0), 10**6) + Fraction(
            getattr(label, "nanosecond", 0), 10**9
        )
        return Moment(int(label.year), int(label.month), int(label.day), seconds + parts, 6)
    except (TypeError, ValueError, AttributeError):
        raise SelectionError(f"{show(label)} is no time") from None
