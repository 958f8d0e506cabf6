"""Frozen values: all that `dataclasses` and its friends can do with one of theirs."""

from __future__ import annotations

import copy
import dataclasses
import gc
import inspect
import pickle
from typing import Any, ClassVar

import pytest

from zarrc.frozen import changed, field, frozen


@frozen()
class Point:
    kind: ClassVar[str] = "point"

    x: int
    y: int = 2

    @property
    def total(self) -> int:
        return self.x + self.y


@frozen()
class Point3(Point):
    z: int = 3


@frozen(kw_only=True)
class Box:
    size: int = 1
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("size")
        object.__setattr__(self, "size", int(self.size))


@dataclasses.dataclass(frozen=True, slots=True)
class TruePoint:
    x: int
    y: int = 2


def test_values_are_built_compared_hashed_and_shown_as_those_of_dataclasses() -> None:
    assert (Point(1), Point(1, 2), Point(y=5, x=4).total) == (Point(x=1), Point(1, y=2), 9)
    assert Point(1) != Point(2)
    assert Point(1) != Point3(1)
    assert len({Point(1), Point(1), Point(2)}) == 2
    assert repr(Point3(1)) == "Point3(x=1, y=2, z=3)"
    assert repr(Point(1)) == repr(TruePoint(1)).replace("True", "")
    assert Point.kind == "point"
    assert not hasattr(Point(1), "__dict__")
    assert Point.__match_args__ == TruePoint.__match_args__  # type: ignore[attr-defined]
    match Point3(1):
        case Point3(x, y, z):
            assert (x, y, z) == (1, 2, 3)


@pytest.mark.parametrize(
    ("args", "given", "word"),
    [
        ((), {}, "missing"),
        ((1, 2, 3), {}, "positional"),
        ((1,), {"x": 1}, "multiple"),
        ((1,), {"w": 1}, "unexpected keyword argument 'w'"),
    ],
)
def test_wrong_arguments_are_type_errors(args: Any, given: Any, word: str) -> None:
    with pytest.raises(TypeError, match=word):
        Point(*args, **given)
    with pytest.raises(TypeError):
        TruePoint(*args, **given)


def test_keyword_only_values_take_no_others() -> None:
    with pytest.raises(TypeError, match="takes 1 positional"):
        Box(1)  # type: ignore[misc]


def test_a_default_that_can_change_is_made_anew() -> None:
    one, other = Box(), Box()
    assert one == other
    assert one.names is not other.names


def test_a_value_is_checked_when_it_is_built_and_when_it_is_changed() -> None:
    with pytest.raises(ValueError, match="size"):
        Box(size=-1)
    with pytest.raises(ValueError, match="size"):
        changed(Box(), size=-1)
    assert changed(Point3(1), z=9) == Point3(1, 2, 9)


@pytest.mark.parametrize("name", ["x", "new"])
def test_nothing_can_be_assigned_or_deleted(name: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(Point(1), name, 1)
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field '{name}'"):
        delattr(Point(1), name)


@pytest.mark.parametrize("value", [Point(1), Point3(1, 2), Box(size=4, names=["a"])])
def test_values_are_pickled_and_copied(value: Any) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert copy.copy(value) == copy.deepcopy(value) == value


def test_the_tools_of_dataclasses_work() -> None:
    assert dataclasses.is_dataclass(Point)
    assert [each.name for each in dataclasses.fields(Point3(1))] == ["x", "y", "z"]  # type: ignore[arg-type]
    assert dataclasses.asdict(Box(names=["a"])) == {"size": 1, "names": ["a"]}  # type: ignore[call-overload]
    assert dataclasses.replace(Point(1), y=7) == Point(1, 7)  # type: ignore[type-var]
    assert dataclasses.replace(Box(size=2)) == Box(size=2)  # type: ignore[type-var]


@pytest.mark.skipif(not hasattr(copy, "replace"), reason="from Python 3.13 on")
def test_copy_replace_works() -> None:
    assert copy.replace(Point(1), y=7) == Point(1, 7)  # type: ignore[attr-defined]


def test_signatures_are_those_of_the_fields() -> None:
    assert str(inspect.signature(Point)) == str(inspect.signature(TruePoint))
    assert list(inspect.signature(Point3).parameters) == ["x", "y", "z"]
    assert all(
        each.kind is inspect.Parameter.KEYWORD_ONLY for each in inspect.signature(Box).parameters.values()
    )


def test_a_users_dataclass_may_derive_from_one() -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine(Point):
        w: int = 4

    class Plain(Point):
        def __init__(self, both: int) -> None:
            super().__init__(both, both)
            self.other = 1

    assert Mine(1, w=5) == Mine(1, 2, 5)
    assert [each.name for each in dataclasses.fields(Mine)] == ["x", "y", "w"]
    assert list(inspect.signature(Mine).parameters) == ["x", "y", "w"]
    assert Plain(3).total == 6
    assert list(inspect.signature(Plain).parameters) == ["both"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Plain(3).x = 1  # type: ignore[misc]


def test_a_subclass_that_adds_nothing_has_the_same_signature() -> None:
    class Same(Point):
        pass

    class New(Point):
        def __new__(cls, *args: Any) -> New:
            return super().__new__(cls)

    assert inspect.signature(Same) == inspect.signature(Point)
    assert list(inspect.signature(New).parameters) == ["args"]


def test_a_class_is_among_the_subclasses_of_its_base_once() -> None:
    gc.collect()
    assert Point.__subclasses__().count(Point3) == 1
    assert [each.__name__ for each in Point.__subclasses__()].count("Point3") == 1


def test_what_a_class_defines_itself_stays() -> None:
    @frozen(eq=False)
    class Own:
        x: int

        def __init__(self) -> None:
            object.__setattr__(self, "x", 5)

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    assert (Own().x, repr(Own()), hash(Own()), Own() == 3) == (5, "own", 1, True)
