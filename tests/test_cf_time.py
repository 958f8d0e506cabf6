"""Times in the calendars of the CF conventions, beside cftime."""

from __future__ import annotations

import datetime
from typing import Any

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrc.cf_time import CALENDARS, TimeAxis, time_axis
from zarrc.errors import MetadataError, SelectionError


def axis(units: str = "days since 2000-01-01", calendar: str | None = None, dtype: str = "f8") -> TimeAxis:
    found = time_axis(units, calendar, np.dtype(dtype))
    assert found is not None
    return found


@st.composite
def dates(draw: st.DrawFn, calendar: str) -> cftime.datetime:
    year, month, day = draw(st.integers(1, 4000)), draw(st.integers(1, 12)), draw(st.integers(1, 28))
    if calendar in ("standard", "gregorian") and (1582, 10, 5) <= (year, month, day) < (1582, 10, 15):
        day = 20
    hour, minute = draw(st.integers(0, 23)), draw(st.integers(0, 59))
    return cftime.datetime(year, month, day, hour, minute, draw(st.integers(0, 59)), calendar=calendar)


@given(
    st.sampled_from(CALENDARS).flatmap(lambda kind: st.tuples(dates(kind), dates(kind))),
    st.sampled_from(("days", "hours", "minutes", "seconds", "Hours", "day", "h", "s", "milliseconds")),
    st.sampled_from(("f8", "i8")),
)
def test_numbers_and_texts_mean_what_cftime_says(
    two: tuple[cftime.datetime, cftime.datetime], unit: str, dtype: str
) -> None:
    reference, when = two
    units = f"{unit} since {reference.isoformat()}"
    found = axis(units, when.calendar, dtype)
    key = found.key(when)
    assert key == found.key(when.isoformat())
    # To the microsecond; what a float64 cannot say is rounded away.
    expected = when - reference
    assert key == (expected.days * 86400 + expected.seconds) * 10**6 + expected.microseconds
    number = cftime.date2num(when, units, calendar=when.calendar)
    if np.dtype(dtype).kind == "f" or int(number) == number:
        stored = np.array([number]).astype(dtype)
        assert found.decode(stored)[0] == key
        assert found.key(stored[0]) == key
    text = found.text(int(key))
    assert found.key(text) == key
    assert text.startswith(f"{when.year:04d}-{when.month:02d}-{when.day:02d}")


@given(st.sampled_from(CALENDARS).flatmap(dates), st.integers(1, 6))
def test_a_period_ends_where_the_next_begins(when: cftime.datetime, parts: int) -> None:
    found = axis(calendar=when.calendar)
    if when.calendar in ("standard", "gregorian") and (when.year, when.month) == (1582, 10):
        return
    fields = (when.year, when.month, when.day, when.hour, when.minute, when.second)[:parts]
    text = f"{fields[0]:04d}"
    for separator, field in zip("--T::", fields[1:], strict=False):
        text += f"{separator}{field:02d}"
    low, high = found.period(text)
    assert low <= found.key(when) < high
    month_days = {"360_day": 30}.get(when.calendar)
    if parts == 2 and month_days:
        assert high - low == month_days * 86400 * 10**6
    # The last tick of a period is in it, the next is in another.
    assert found.text(int(high) - 1).startswith(text)
    assert not found.text(int(high)).startswith(text)


@pytest.mark.parametrize(
    "label",
    [
        "2000-01-31T12:00",
        "2000-01-31 12:00:00.000",
        "2000-01-31T13:00+01:00",
        "2000-01-31T12Z",
        "2000-01-31 07:30 -0430",
        np.datetime64("2000-01-31T12"),
        np.datetime64("2000-01-31T12:00", "ns"),
        datetime.datetime(2000, 1, 31, 12),
        datetime.datetime(2000, 1, 31, 12, tzinfo=datetime.UTC),
        cftime.DatetimeNoLeap(2000, 1, 31, 12),
        30.5,
        np.float32(30.5),
    ],
)
def test_a_moment_may_be_said_in_many_ways(label: Any) -> None:
    assert axis().key(label) == int(30.5 * 86400) * 10**6


def test_whole_dates() -> None:
    day = 86400 * 10**6
    assert axis().key(datetime.date(2000, 1, 3)) == 2 * day
    assert axis().key(np.datetime64("2000-02")) == axis().key("2000-02") == 31 * day
    assert axis().key(np.int16(-1)) == -day
    assert axis("weeks since 2000-01-01").key(1) == 7 * day
    assert axis("months since 2000-01-01", "360_day").key(2) == 60 * day
    assert axis("days since 2000-1-1 12:00 -2").key("2000-01-01") == -14 * 3600 * 10**6
    assert axis("ns since 2000-01-01", dtype="i8").key("2000-01-01T00:00:00.000000001") == 1
    assert axis("nanoseconds since 2000-01-01", dtype="i8").decode(np.array([5]))[0] == 5


@pytest.mark.parametrize(
    ("calendar", "label"),
    [
        ("noleap", "2000-02-29"),
        ("noleap", np.datetime64("2000-02-29")),
        ("360_day", "2000-01-31"),
        ("standard", "1900-02-29"),
        ("standard", "1582-10-10"),
        ("julian", "1900-02-30"),
        (None, "2000-13"),
        (None, "2000-00-01"),
        (None, "2000-01-01T25"),
        (None, "2000-01-01T24:01"),
        (None, "2000-01T12"),
        (None, "yesterday"),
        (None, ""),
        (None, np.datetime64("NaT")),
        (None, float("nan")),
        (None, float("inf")),
        (None, 1e300),
        (None, True),
        (None, None),
        (None, [1]),
    ],
)
def test_what_is_no_time_is_an_error(calendar: str | None, label: Any) -> None:
    with pytest.raises(SelectionError, match=r"no time|no date"):
        axis(calendar=calendar).key(label)


@pytest.mark.parametrize(
    ("units", "calendar", "words"),
    [
        ("days since", None, "cannot read"),
        ("days since tomorrow", None, "cannot read"),
        ("days since 2000-02-30", None, "no date of the calendar"),
        ("months since 2000-01-01", None, "not of one length"),
        ("fortnights since 2000-01-01", None, "not of one length, or not known"),
        ("days since 2000-01-01", "martian", "'martian' is not known here; known: 'standard'"),
        ("days since 2000-01-01", 5, "not known here"),
    ],
)
def test_units_that_are_not_understood_are_an_error(units: str, calendar: Any, words: str) -> None:
    if units == "days since":
        assert time_axis(units, calendar, np.dtype("f8")) is None
        return
    with pytest.raises(MetadataError, match=words):
        time_axis(units, calendar, np.dtype("f8"))


def test_other_units_are_no_times() -> None:
    for units in (None, "K", "degrees_north", 5, ""):
        assert time_axis(units, None, np.dtype("f8")) is None


def test_numbers_that_cannot_be_times() -> None:
    found = axis().decode(np.array([0.0, np.nan, np.inf, 1.0]))
    assert found.tolist() == [0, -(2**63), -(2**63), 86400 * 10**6]
    assert axis().text(-(2**63)) == "no time"
    for far in (np.array([1e300]), np.array([2**62]), np.array([2**63], "u8"), np.array([-(2**63)])):
        with pytest.raises(MetadataError, match="further from the reference"):
            axis(dtype=far.dtype.str).decode(far)


def test_coarse_floats_are_rounded_to_what_they_tell_apart() -> None:
    # Hours as days, counted from the year 1: a float64 tells 10 microseconds apart.
    hours = np.arange(24 * 365)
    stored = 730000 + hours / 24
    assert (axis("days since 0001-01-01").decode(stored) % 3600_000_000 == 0).all()
    # float32 days since 1850 tell 8 minutes apart, and mean what they say.
    assert axis(dtype="f4").decode(np.array([60000.5], "f4"))[0] == 60000.5 * 86400 * 10**6


def test_lengths() -> None:
    found = axis("hours since 2000-01-01")
    assert found.length(datetime.timedelta(minutes=1)) == found.length(np.timedelta64(60, "s")) == 60 * 10**6
    assert found.length(0.5) == 1800 * 10**6
