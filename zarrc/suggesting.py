"""Advice about chunks and shards: from what an array is read by to the shapes that suit it."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from zarrc.dtypes import parse_dtype
from zarrc.frozen import frozen
from zarrc.metadata.chunking import parse_shape
from zarrc.reading import choices, show

__all__ = ["ChunkSuggestion", "suggest_chunks"]

MIB: Final = 1 << 20

TARGET_NBYTES: Final = {"local": 8 * MIB, "cloud": 32 * MIB}
"""The largest chunk: 1000 x 1000 float64 on a disk, 2000 x 2000 in the cloud, as the guide's examples say."""
FLOOR_NBYTES: Final = {"local": MIB // 4, "cloud": MIB}
"""The smallest: below it a request costs more than its bytes."""
REQUEST_NBYTES: Final = {"local": MIB // 8, "cloud": 2 * MIB}
"""What could be read in the time that one more request takes: 0.1 ms at 1 GB/s, 20 ms at 100 MB/s."""
SHARD_NBYTES: Final = 64_000_000
"""Between the 10 and 100 MB that the guide gives for a shard."""
_ROW_NBYTES: Final = 64
"""The shortest last dimension of a chunk: one line of a processor's cache, and 8 elements."""
_SHAPE_WEIGHT: Final = 0.02
"""What a chunk that is e times as long along an axis as what is read may cost more: neighbours are near."""
_MAX_NDIM: Final = 32

Named = Literal["row", "column", "balanced"]


@frozen(repr=False)
class ChunkSuggestion:
    """What `suggest_chunks` returns.

    Parameters
    ----------
    chunks : tuple of int
        Shape of a chunk, for ``chunks=``.
    shards : tuple of int or None
        Shape of a shard, for ``shards=``.
    why : tuple of str
        What the two cost, in sentences.
    """

    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    why: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [f"chunks={self.chunks}, shards={self.shards}", *self.why]
        return "\n  ".join(lines)

    def _repr_html_(self) -> str:
        import html

        reasons = "".join(f"<li>{html.escape(one)}</li>" for one in self.why)
        head = html.escape(f"chunks={self.chunks}, shards={self.shards}")
        return f"<div><code>{head}</code><ul>{reasons}</ul></div>"


@frozen()
class Reader:
    """One way in which the array is read.

    Parameters
    ----------
    label : str
        What it is called.
    start, shape : tuple of int
        The box that is read at once.
    """

    label: str
    start: tuple[int, ...]
    shape: tuple[int, ...]

    def touched(self, chunks: Sequence[int]) -> tuple[int, ...]:
        """Return how many chunks the box meets along each axis."""
        return tuple(
            (begin + length - 1) // chunk - begin // chunk + 1
            for begin, length, chunk in zip(self.start, self.shape, chunks, strict=True)
        )


def suggest_chunks(
    shape: int | Iterable[int],
    dtype: Any = "float64",
    access: Any = "balanced",
    storage: Literal["local", "cloud"] = "local",
    *,
    dimension_names: Iterable[str | None] | None = None,
) -> ChunkSuggestion:
    """Suggest the shape of chunks, and of shards where they help, for an array.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of the array.
    dtype : dtype-like, default float64
        Its data type.
    access : {"balanced", "row", "column"}, Mapping, or a sequence of these
        How it is read. "row": along the last dimensions, so that a chunk holds whole rows; "column": along
        the first; "balanced": any way. A mapping is a typical selection: for each axis (a number, or a name
        of ``dimension_names``) a slice or the number of elements; axes left out are read whole. Several are
        weighed against each other.
    storage : {"local", "cloud"}, default "local"
        Where it is stored: in files of this machine, or behind requests that take their time.
    dimension_names : sequence of (str or None), optional
        Names of the dimensions, for ``access``.

    Returns
    -------
    ChunkSuggestion
        ``chunks`` and ``shards``, to be passed to `zarrc.create_array`, and ``why``.

    Raises
    ------
    ValueError
        If ``access`` or ``storage`` are none of these, or a selection is empty or outside the array.
    TypeError
        If a part of a selection is neither a slice nor an integer.

    Notes
    -----
    Bytes are those of the elements in memory; compressed chunks are smaller. Chunks have at most 8 MiB on
    local storage and 32 MiB in the cloud. Towards a small selection they shrink to 256 KiB, or 1 MiB in the
    cloud, where chunks of less than 8 MiB are put into shards of some 64 MB.

    Examples
    --------
    >>> import zarrc
    >>> s = zarrc.suggest_chunks((10000, 10000), "float64")
    >>> s.chunks, s.shards
    ((1000, 1000), None)
    """
    extents = parse_shape(shape)
    itemsize = parse_dtype(dtype)[0].itemsize
    if storage not in TARGET_NBYTES:
        raise ValueError(f"storage must be one of {choices(TARGET_NBYTES)}, got {show(storage)}")
    if len(extents) > _MAX_NDIM:
        raise ValueError(f"an array has at most {_MAX_NDIM} dimensions, got {len(extents)}")
    names = None if dimension_names is None else tuple(dimension_names)
    if names is not None and len(names) != len(extents):
        raise ValueError(f"{len(names)} dimension_names do not fit {len(extents)} dimensions")
    # An axis without elements is cut as one of one element would be: there is no chunk of 0.
    full = tuple(max(extent, 1) for extent in extents)
    wanted = _several(access)
    if len(wanted) == 1 and isinstance(wanted[0], str):
        chunks = _named_chunks(wanted[0], full, itemsize, TARGET_NBYTES[storage])
        shards = None
        readers = _readers_of(wanted[0], full, chunks)
    else:
        readers = [
            reader
            for one in wanted
            for reader in (_named_readers(one, full) if isinstance(one, str) else [_reader(one, full, names)])
        ]
        chunks = _searched_chunks(full, itemsize, readers, storage)
        shards = _shards(full, chunks, itemsize) if storage == "cloud" else None
    rules = _rules(wanted, storage, chunks, shards, itemsize)
    empty = () if full == extents else ("An axis of no elements is cut as one of 1 would be.",)
    why = (
        *empty,
        *_sizes(full, chunks, shards, itemsize),
        *_reads(readers, chunks, shards, itemsize),
        *rules,
    )
    return ChunkSuggestion(chunks, shards, why)


# --- what the user says


def _several(access: Any) -> list[Any]:
    """Return the ways of access as a list."""
    if isinstance(access, (str, Mapping)):
        access = [access]
    if not isinstance(access, (list, tuple)) or not access:
        raise ValueError(
            "access must be 'row', 'column', 'balanced', a mapping from axes to slices or extents, or "
            f"several of these, got {show(access)}"
        )
    for one in access:
        if isinstance(one, str):
            if one not in ("row", "column", "balanced"):
                raise ValueError(f"access must be 'row', 'column' or 'balanced', got {show(one)}")
        elif not isinstance(one, Mapping):
            raise ValueError(f"access: a typical selection is a mapping from axes to slices, got {show(one)}")
    return list(access)


def _reader(selection: Mapping[Any, Any], full: tuple[int, ...], names: tuple[Any, ...] | None) -> Reader:
    """Return the typical selection that a mapping says."""
    start, shape = [0] * len(full), list(full)
    told: dict[int, str] = {}
    for key, part in selection.items():
        axis = _axis(key, len(full), names)
        if axis in told:
            raise ValueError(f"access names dimension {axis} twice")
        called = show(key) if isinstance(key, str) else f"axis {axis}"
        start[axis], shape[axis] = _extent_of(part, full[axis], called)
        told[axis] = f"{shape[axis]} of {key if isinstance(key, str) else f'axis {axis}'}"
    label = ", ".join(told[axis] for axis in sorted(told)) or "everything"
    return Reader(label, tuple(start), tuple(shape))


def _axis(key: Any, ndim: int, names: tuple[Any, ...] | None) -> int:
    if isinstance(key, str):
        if names is None:
            raise ValueError(f"access names the dimension {show(key)}: pass dimension_names= too")
        if key not in names:
            raise ValueError(f"access: there is no dimension {show(key)}; there are {choices(names)}")
        return names.index(key)
    try:
        axis = operator.index(key)
    except TypeError:
        raise TypeError(f"access: an axis is a number or a name, got {show(key)}") from None
    if not -ndim <= axis < ndim:
        raise ValueError(f"access: axis {axis} is out of bounds for {ndim} dimensions")
    return axis % ndim


def _extent_of(part: Any, extent: int, called: str) -> tuple[int, int]:
    """Return start and number of elements that a selection takes along an axis."""
    if part is None or part is Ellipsis:
        return 0, extent
    if isinstance(part, (slice, range)):
        chosen = range(extent)[part] if isinstance(part, slice) else part
        if not len(chosen) or not 0 <= min(chosen[0], chosen[-1]) <= max(chosen[0], chosen[-1]) < extent:
            raise ValueError(f"access: {part!r} selects nothing, or what is outside, of {called} ({extent})")
        first, last = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
        return first, last - first + 1
    try:
        length = operator.index(part)
    except TypeError:
        raise TypeError(
            f"access: {called} must be a slice or a number of elements, got {show(part)}"
        ) from None
    if not 1 <= length <= extent:
        raise ValueError(f"access: {called} must be a number of elements in [1, {extent}], got {length}")
    return 0, length


# --- the named ways


def _split(extent: int, most: int) -> int:
    """Cut an axis evenly into pieces of at most ``most``: the last one is hardly smaller than the others."""
    return -(-extent // -(-extent // max(most, 1)))


def _least_row(full: tuple[int, ...], itemsize: int) -> int:
    """Return the shortest last dimension that a chunk may have."""
    return min(full[-1], max(8, -(-_ROW_NBYTES // itemsize)))


def _named_chunks(named: str, full: tuple[int, ...], itemsize: int, target: int) -> tuple[int, ...]:
    if not full:
        return ()
    budget = max(target // itemsize, 1)
    if named == "balanced":
        return _balanced(full, budget, _least_row(full, itemsize))
    return _filled(full, budget, _least_row(full, itemsize), from_last=named == "row")


def _filled(full: tuple[int, ...], budget: int, least: int, *, from_last: bool) -> tuple[int, ...]:
    """Fill a chunk axis after axis, until it has ``budget`` elements."""
    chunks = [1] * len(full)
    chunks[-1] = min(least, budget)
    axes = range(len(full))
    for axis in reversed(axes) if from_last else axes:
        rest = budget // (math.prod(chunks) // chunks[axis])
        chunks[axis] = max(_split(full[axis], rest), chunks[axis])
        if chunks[axis] < full[axis]:
            break
    return tuple(chunks)


def _balanced(full: tuple[int, ...], budget: int, least: int) -> tuple[int, ...]:
    """A chunk of about ``budget`` elements that is as long along each axis as it can be along all."""
    chunks = [1] * len(full)
    # Short axes first: what they leave goes to the longer ones.
    left, rest = budget, len(full)
    for axis in sorted(range(len(full)), key=lambda axis: (full[axis], -axis)):
        side = int(left ** (1 / rest) + 1e-9)
        chunks[axis] = _split(full[axis], max(side, 1))
        if axis == len(full) - 1:
            chunks[axis] = max(chunks[axis], min(least, left))
        left, rest = max(left // chunks[axis], 1), rest - 1
    return tuple(chunks)


def _named_readers(named: str, full: tuple[int, ...]) -> list[Reader]:
    """Return what a named way of access reads at once: a row, a column, or either."""
    if not full:
        return [Reader("the element", (), ())]
    nowhere = (0,) * len(full)
    row = Reader("a row", nowhere, (*(1 for _ in full[1:]), full[-1]))
    if len(full) == 1:
        return [row]
    column = Reader("a column", nowhere, (full[0], *(1 for _ in full[1:])))
    return {"row": [row], "column": [column]}.get(named, [row, column])


def _readers_of(named: str, full: tuple[int, ...], chunks: tuple[int, ...]) -> list[Reader]:
    """Return what to say about a named way: what it reads, and that piece by piece nothing is read twice."""
    readers = _named_readers(named, full)
    several = {"row": "rows", "column": "columns"}.get(named)
    if several is None or not full or len(full) == 1:
        return readers
    # All rows (or columns) of one chunk, read together.
    along = range(len(full)) if named == "row" else range(len(full) - 1, -1, -1)
    shape = list(full)
    for axis in along:
        if chunks[axis] < full[axis]:
            shape[axis] = chunks[axis]
    return [*readers, Reader(f"all {several} of a chunk, read together", (0,) * len(full), tuple(shape))]


# --- typical selections


def _searched_chunks(
    full: tuple[int, ...], itemsize: int, readers: Sequence[Reader], storage: str
) -> tuple[int, ...]:
    """Return the chunk shape that costs the readers least, from a search over even cuts."""
    if not full:
        return ()
    target, floor = TARGET_NBYTES[storage], FLOOR_NBYTES[storage]
    least = _least_row(full, itemsize)
    if math.prod(full) * itemsize <= floor:
        return full
    options = [_cuts(axis, full, readers, least) for axis in range(len(full))]
    request = REQUEST_NBYTES[storage]
    needed = [math.prod(reader.shape) * itemsize for reader in readers]
    middle = [
        sum(math.log(reader.shape[axis]) for reader in readers) / len(readers) for axis in range(len(full))
    ]

    def cost(chunks: tuple[int, ...]) -> tuple[float, float]:
        """Bytes outside the bounds, then time; a shape that is far from the selections' costs a little."""
        nbytes = math.prod(chunks) * itemsize
        outside = max(0.0, math.log2(nbytes / target)) + max(0.0, math.log2(floor / nbytes))
        total = 0.0
        for reader, need in zip(readers, needed, strict=True):
            n_chunks = math.prod(
                _expected(length, chunk) for length, chunk in zip(reader.shape, chunks, strict=True)
            )
            total += math.log((n_chunks * (request + nbytes)) / need)
        shape = sum((math.log(chunk) - mid) ** 2 for chunk, mid in zip(chunks, middle, strict=True))
        return round(outside, 9), round(total + _SHAPE_WEIGHT * shape, 6)

    best = _first(middle, full, options, floor / itemsize)
    price = cost(best)
    while True:
        found = min(((cost(one), one) for one in _moves(best, options)), default=(price, best))
        if found[0] >= price:
            return best
        price, best = found


def _first(
    middle: Sequence[float], full: tuple[int, ...], options: Sequence[Sequence[int]], least: float
) -> tuple[int, ...]:
    """Return where the search begins: the selections' shape, grown evenly to ``least`` elements."""
    logs = list(middle)
    free = [axis for axis, extent in enumerate(full) if logs[axis] < math.log(extent)]
    while free and sum(logs) < math.log(least) - 1e-9:
        more = (math.log(least) - sum(logs)) / len(free)
        for axis in free:
            logs[axis] = min(logs[axis] + more, math.log(full[axis]))
        free = [axis for axis in free if logs[axis] < math.log(full[axis])]
    return tuple(
        next((cut for cut in cuts if math.log(cut) >= log - 1e-9), cuts[-1])
        for log, cuts in zip(logs, options, strict=True)
    )


def _cuts(axis: int, full: tuple[int, ...], readers: Sequence[Reader], least: int) -> list[int]:
    """Return the extents to be tried along an axis: even cuts of the axis and of what is read of it."""
    extent = full[axis]
    lowest = least if axis == len(full) - 1 else 1
    parts = 2 if len(full) > 6 else 8
    found: set[int] = set()
    for whole in {extent, *(reader.shape[axis] for reader in readers)}:
        found |= {_split(whole, -(-whole // n)) for n in range(1, parts + 1)}
        while whole > 1:
            whole = -(-whole // 2)
            found.add(whole)
    for reader in readers:
        times = reader.shape[axis]
        while times < extent:
            found.add(times)
            times *= 2
    return sorted({min(max(cut, lowest), extent) for cut in found | {1}})


def _moves(chunks: tuple[int, ...], options: Sequence[Sequence[int]]) -> Iterable[tuple[int, ...]]:
    """Yield the shapes that differ along one axis, or by a step up on one and a step down on another."""
    for axis, cuts in enumerate(options):
        # Of few axes each cut is tried, of many the neighbours.
        at = cuts.index(chunks[axis])
        near = cuts if len(options) <= 6 else cuts[max(at - 1, 0) : at + 2]
        for cut in near:
            if cut != chunks[axis]:
                yield (*chunks[:axis], cut, *chunks[axis + 1 :])
    for up, down in itertools.permutations(range(len(options)), 2):
        higher = options[up].index(chunks[up]) + 1
        lower = options[down].index(chunks[down]) - 1
        if higher < len(options[up]) and lower >= 0:
            moved = list(chunks)
            moved[up], moved[down] = options[up][higher], options[down][lower]
            yield tuple(moved)


def _expected(length: int, chunk: int) -> float:
    """How many chunks a selection meets: where one divides the other, it is taken to be aligned."""
    if length % chunk == 0 or chunk % length == 0:
        return max(length // chunk, 1)
    return (length + chunk - 1) / chunk


def _shards(full: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> tuple[int, ...] | None:
    """Return shards for chunks that are small for objects; None where they are not, or there is one."""
    nbytes = math.prod(chunks) * itemsize
    grid = tuple(-(-extent // chunk) for extent, chunk in zip(full, chunks, strict=True))
    if nbytes >= 8 * MIB or math.prod(grid) == 1:
        return None
    times = _balanced(grid, max(SHARD_NBYTES // nbytes, 1), 1)
    return tuple(chunk * time for chunk, time in zip(chunks, times, strict=True))


# --- what it costs


def _sizes(
    full: tuple[int, ...], chunks: tuple[int, ...], shards: tuple[int, ...] | None, itemsize: int
) -> list[str]:
    nbytes = math.prod(chunks) * itemsize
    n_chunks = _n_parts(full, chunks)
    cut = " x ".join(map(str, chunks)) or "1"
    text = f"A chunk of {cut} elements of {_count(itemsize, 'byte')} is {_size(nbytes)}; "
    text += f"the array of {_size(math.prod(full) * itemsize)} has {_count(n_chunks, 'chunk')}"
    if shards is None:
        return [f"{text}, {'each' if n_chunks > 1 else 'which is'} an object."]
    inside = math.prod(shards) // math.prod(chunks)
    shard = (
        f"A shard of {_count(inside, 'chunk')} is {_size(math.prod(shards) * itemsize)}: "
        f"{_count(_n_parts(full, shards), 'object')} instead of {_number(n_chunks)}."
    )
    return [f"{text}.", shard]


def _n_parts(full: tuple[int, ...], parts: tuple[int, ...]) -> int:
    return math.prod(-(-extent // part) for extent, part in zip(full, parts, strict=True))


def _reads(
    readers: Sequence[Reader], chunks: tuple[int, ...], shards: tuple[int, ...] | None, itemsize: int
) -> list[str]:
    lines = []
    for reader in readers:
        n_chunks = math.prod(reader.touched(chunks))
        need = math.prod(reader.shape) * itemsize
        read = n_chunks * math.prod(chunks) * itemsize
        lines.append(
            f"Reading {reader.label} ({_size(need)}) meets {_count(n_chunks, 'chunk')}: "
            f"{_requests(reader, chunks, shards)}, {_size(read)}, {_times(read / need)} what is needed."
        )
    return lines


def _requests(reader: Reader, chunks: tuple[int, ...], shards: tuple[int, ...] | None) -> str:
    if shards is None:
        return _count(math.prod(reader.touched(chunks)), "request")
    n_shards = math.prod(reader.touched(shards))
    # Neighbours in a shard are read by one request: what is whole along the last axes is one run.
    inside = [shard // chunk for shard, chunk in zip(shards, chunks, strict=True)]
    met = [min(n, of) for n, of in zip(reader.touched(chunks), inside, strict=True)]
    axis = len(met) - 1
    while axis > 0 and met[axis] == inside[axis]:
        axis -= 1
    runs = math.prod(met[:axis])
    return f"at most {_count(n_shards * (1 + runs), 'request')} (an index and {_count(runs, 'run')} a shard)"


def _rules(
    wanted: Sequence[Any],
    storage: str,
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None,
    itemsize: int,
) -> list[str]:
    lines = []
    if wanted == ["row"]:
        lines.append("Row-wise access: whole rows, as many as fit.")
    elif wanted == ["column"]:
        lines.append("Column-wise access: whole columns, as many as fit, and rows of 64 bytes at least.")
    elif wanted == ["balanced"]:
        lines.append("Access of any kind: a chunk is as long one way as the other.")
    if storage == "local":
        lines.append("Local storage: files cost little, so that shards bring nothing.")
    elif shards is not None:
        lines.append("Cloud storage: many small chunks share an object, and cost as many requests to write.")
    else:
        small = "the array is one object" if math.prod(chunks) * itemsize < 8 * MIB else "few, large chunks"
        lines.append(f"Cloud storage: {small}; for small reads name a typical selection, and get shards.")
    return lines


def _size(nbytes: int) -> str:
    value = float(nbytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1023.95:
            return f"{nbytes} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} EiB" if value < 1e6 else f"{value:.1e} EiB"


def _count(n: int, what: str) -> str:
    return f"1 {what}" if n == 1 else f"{_number(n)} {what}s"


def _number(n: int) -> str:
    return str(n) if n < 10**12 else f"{n:.1e}"


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 100 else f"{ratio:.0f} times"
