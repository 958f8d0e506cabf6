"""`Mosaic`: several arrays of a group, read and written as one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zarrc.array import Array
from zarrc.array_facts import Shaped
from zarrc.attributes import Attributes
from zarrc.config import ArrayConfig, ArrayConfigLike, parse_array_config
from zarrc.engine.nodes import place
from zarrc.engine.values import as_values
from zarrc.errors import MetadataError, ReadOnlyError, SelectionError
from zarrc.indexing.index_map import IndexMap
from zarrc.mosaic.document import ATTRIBUTE, Description
from zarrc.mosaic.members import open_tile, read_tiles
from zarrc.mosaic.splitting import Part, Split
from zarrc.mosaic.tile import Tile, box_text
from zarrc.mosaic.tiling import Tiling
from zarrc.reading import show

if TYPE_CHECKING:
    import numpy.typing as npt

    from zarrc.attributes import Change
    from zarrc.group import Group
    from zarrc.info import Info
    from zarrc.storage.base import Store
    from zarrc.tree import Tree

__all__ = ["Mosaic"]

_N_READERS = 16
"""Tiles that are read or written at once where each takes its time: over a network."""


class Mosaic(Shaped):
    """Several arrays of one group, the tiles, read and written as one array.

    Handles come from `zarrc.mosaic.create`, `from_chunk_shapes`, `from_arrays` and `open`. A handle holds no
    data and may be shared between threads, pickled, and used after a fork.

    Parameters
    ----------
    group : Group
        The group, which describes the mosaic in its attribute ``zarrc_mosaic``.
    config : ArrayConfig or Mapping, optional
        How tiles are read and written.
    check : bool, default True
        Whether to read the metadata of all tiles now; otherwise each is looked at when it is first used.

    Raises
    ------
    MetadataError
        If the group describes no mosaic, if the description contradicts itself, or if a tile is not there or
        not what the description says.
    """

    __slots__ = ("_arrays", "_config", "_description", "_group", "_origins", "_tiling")

    def __init__(self, group: Group, *, config: ArrayConfigLike = None, check: bool = True) -> None:
        where = place(group.store, group.path)
        attributes = group.metadata.attributes
        if ATTRIBUTE not in attributes:
            raise MetadataError(f"the group at {where} is no mosaic: it has no attribute {ATTRIBUTE!r}")
        self._group = group
        self._config = parse_array_config(config)
        try:
            self._description = Description.from_json(attributes[ATTRIBUTE], group.path or "/")
            self._tiling = checked_tiling(self._description)
        except MetadataError as error:
            error.add_note(f"at {where}")
            raise
        self._origins = [tile.start for tile in self._description.tiles]
        self._arrays: dict[int, Array] = {}
        if check:
            found = read_tiles(group, self._description)
            for number, metadata in enumerate(found):
                self._arrays[number] = open_tile(group, self._description, number, self._config, metadata)

    # --- what it is

    @property
    def group(self) -> Group:
        """The group whose arrays the tiles are."""
        return self._group

    @property
    def store(self) -> Store:
        """The store that holds the group."""
        return self._group.store

    @property
    def path(self) -> str:
        """Path of the group inside the store."""
        return self._group.path

    @property
    def name(self) -> str:
        """The path with a leading slash."""
        return self._group.name

    @property
    def read_only(self) -> bool:
        """Whether writing is refused."""
        return self._group.read_only

    @property
    def config(self) -> ArrayConfig:
        """How tiles are read and written."""
        return self._config

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each dimension."""
        return self._description.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of what a read returns, and of all tiles."""
        return self._description.data_type.numpy

    @property
    def fill_value(self) -> Any:
        """Value of elements that no tile covers, and of those of tiles that were never written."""
        return self._description.fill_value[()]

    @property
    def dimension_names(self) -> tuple[str | None, ...] | None:
        """Names of the dimensions, if they have any."""
        return self._description.dimension_names

    @property
    def overlap(self) -> str:
        """What is seen where tiles overlap: the "first" or the "last" of them; "error" where none may."""
        return self._description.overlap

    @property
    def gaps(self) -> str:
        """What is seen where no tile is: with "fill" the fill value; "error" where there may be no gaps."""
        return self._description.gaps

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The tiles, in their order: path below the group, start and shape."""
        return self._description.tiles

    @property
    def attrs(self) -> Attributes:
        """The user's attributes: those of the group, without the description of the mosaic."""
        return Attributes(_UserAttributes(self._group))

    def array(self, tile: int | str) -> Array:
        """Return the array of a tile, by its number or its path.

        Raises
        ------
        LookupError
            If there is no such tile.
        """
        tiles = self.tiles
        if isinstance(tile, str):
            number = next((i for i, one in enumerate(tiles) if one.path == tile), None)
            if number is None:
                raise KeyError(f"the mosaic has no tile {show(tile)}")
        else:
            try:
                number = range(len(tiles))[operator.index(tile)]
            except IndexError:
                raise IndexError(f"the mosaic has {len(tiles)} tiles, and no number {show(tile)}") from None
            except TypeError:
                raise TypeError(f"a tile is a number or a path, got {show(tile)}") from None
        array = self._arrays.get(number)
        if array is None:
            array = open_tile(self._group, self._description, number, self._config)
            self._arrays[number] = array
        return array

    def arrays(self) -> Iterator[tuple[Tile, Array]]:
        """Iterate over the tiles and their arrays."""
        for number, tile in enumerate(self.tiles):
            yield tile, self.array(number)

    def tiles_in(self, selection: Any = ...) -> tuple[Tile, ...]:
        """Return the tiles that ``mosaic[selection]`` reads."""
        split = Split(self._map(selection))
        numbers = {part.tile for part in split.parts(self._tiling, self._origins)}
        return tuple(self.tiles[number] for number in sorted(numbers))

    # --- reading and writing

    def __getitem__(self, selection: Any) -> Any:
        """Read what integers, slices, ``...``, ``None``, lists, arrays and masks select, as NumPy does.

        In a dict dimensions are selected by their names, as `isel` does.

        Returns
        -------
        numpy.ndarray or NumPy scalar
            A new array, owned by the caller; a scalar if each dimension is indexed by an integer.

        Raises
        ------
        SelectionError
            If the selection does not fit the mosaic.
        NodeNotFoundError
            If a tile that the selection meets is not there any more.
        """
        return self._read(self._map(selection))

    def __setitem__(self, selection: Any, value: npt.ArrayLike) -> None:
        """Write to the selected elements, as NumPy does; to the tile that reads see, where tiles overlap.

        Raises
        ------
        SelectionError
            If the selection does not fit the mosaic, or if no tile covers part of it; nothing is written
            then.
        ReadOnlyError
            If the mosaic was opened for reading only.
        CastingError
            If a value does not fit the data type; nothing is written then.
        """
        self._write(self._map(selection), value)

    @property
    def oindex(self) -> Indexer:
        """Orthogonal selection: each list or mask has a dimension of its own."""
        return Indexer(self, "oindex")

    @property
    def vindex(self) -> Indexer:
        """Selection of points: lists and masks are taken together, and their dimensions come first."""
        return Indexer(self, "vindex")

    def isel(self, indexers: Mapping[str, Any] | None = None, /, **named: Any) -> Any:
        """Read by the names of dimensions: integers, slices (half-open), or lists, which are orthogonal.

        Parameters
        ----------
        indexers : Mapping, optional
            Name of a dimension -> what to select of it; all of the others is read.
        **named
            The same as keywords.

        Raises
        ------
        SelectionError
            If no dimension, or more than one, has the name.
        """
        from zarrc.indexing.named import indexers_of

        return self._read(self._named_map(indexers_of("isel", indexers, named)))

    def _map(self, selection: Any) -> IndexMap:
        if isinstance(selection, dict):
            return self._named_map(selection)
        return IndexMap.identity(self.shape).index(selection)

    def _named_map(self, indexers: Mapping[str, Any]) -> IndexMap:
        from zarrc.indexing.named import named_key

        return IndexMap.identity(self.shape).oindex(named_key(indexers, self.dimension_names, self.ndim))

    def _read_whole(self) -> Any:
        return self[...]

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("the truth value of a mosaic of more than one element is ambiguous")
        return bool(np.asarray(self).reshape(-1)[0])

    def _read(self, index_map: IndexMap) -> Any:
        split = Split(index_map)
        parts = split.parts(self._tiling, self._origins)
        covered = sum(part.n for part in parts) == split.size
        if covered:
            work = np.empty(split.shape, self.dtype)
        else:
            work = np.full(split.shape, self._description.fill_value, self.dtype)

        def read(part: Part) -> None:
            access = self.array(part.tile)._data()
            if part.is_box:
                access.read(part.map, out=split.box(work, part))
            else:
                shape, axes, groups = part.map
                selection = IndexMap(self.tiles[part.tile].shape, shape, axes, groups).selection()
                work[part.index] = access.read_selection(selection)

        self._each(read, parts)
        result = split.result_of(work)
        return result[()] if index_map.is_scalar else result

    def _write(self, index_map: IndexMap, value: Any) -> None:
        if self.read_only:
            raise ReadOnlyError(
                "cannot write: the mosaic was opened for reading only; open it with mode='r+'",
                key=self.path or "/",
            )
        values = as_values(value, self.dtype, index_map.shape, self._config.casting, self.path)
        split = Split(index_map)
        parts = split.parts(self._tiling, self._origins)
        if sum(part.n for part in parts) != split.size:
            raise self._gap_error(split)
        work = split.work_of(values)

        def write(part: Part) -> None:
            access = self.array(part.tile)._data()
            if part.is_box:
                access.write(part.map, split.box(work, part))
            else:
                shape, axes, groups = part.map
                selection = IndexMap(self.tiles[part.tile].shape, shape, axes, groups).selection()
                access.write_selection(selection, work[part.index])

        # Whatever can be found out before the first tile is written is: each is opened.
        for part in parts:
            self.array(part.tile)
        self._each(write, parts)

    def _gap_error(self, split: Split) -> SelectionError:
        gap = self._tiling.first_gap(*split.bounds())
        where = f", such as {box_text(*gap)}" if gap is not None else ""
        return SelectionError(
            f"cannot write to elements that no tile covers{where}; nothing was written. Write to the regions "
            "of `tiles` instead"
        )

    def _each(self, do: Callable[[Part], None], parts: Sequence[Part]) -> None:
        """Do something for each part; several at once where the store is far away."""
        store = self.store
        if len(parts) < 2 or store.local_root is not None or _is_memory(store):
            for part in parts:
                do(part)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(_N_READERS, len(parts))) as pool:
            waiting = [pool.submit(do, part) for part in parts]
            try:
                for one in waiting:
                    one.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    # --- representation

    def __repr__(self) -> str:
        n = len(self.tiles)
        tiles = "1 tile" if n == 1 else f"{n} tiles"
        return f"<Mosaic {self._group.store_path} shape={self.shape} dtype={self.dtype} of {tiles}>"

    @property
    def info(self) -> Info:
        """A summary, as text and as HTML."""
        from zarrc.info import Info, human_nbytes

        description = self._description
        covered = self._tiling.n_covered
        share = "all" if covered == self.size else f"{covered} of {self.size} elements"
        items = [
            ("Name", self.name),
            ("Type", "Mosaic"),
            ("Zarr format", str(self._group.metadata.zarr_format)),
            ("Data type", description.data_type.name),
            ("Fill value", str(self.fill_value)),
            ("Shape", str(self.shape)),
            ("No. tiles", str(len(self.tiles))),
            ("Covered", share),
            ("Overlap", f"{self.overlap}{'' if self._tiling.overlaps else ' (there is none)'}"),
            ("Gaps", self.gaps),
            ("Read-only", str(self.read_only)),
            ("Store", str(self.store)),
            ("No. bytes", human_nbytes(self.nbytes)),
        ]
        if self.dimension_names is not None:
            items.insert(6, ("Dimension names", str(self.dimension_names)))
        return Info(tuple(items))

    def _repr_html_(self) -> str:
        return self.info._repr_html_()

    def tree(self, **options: Any) -> Tree:
        """Return the group and its arrays, to be shown as text or HTML; arguments as for `Group.tree`."""
        return self._group.tree(**options)

    # --- identity

    def __eq__(self, other: object) -> bool:
        """Two handles are equal if they are of one group."""
        return self._group == other._group if isinstance(other, Mosaic) else NotImplemented

    def __hash__(self) -> int:
        return hash((Mosaic, self._group))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._group, self._config)


class Indexer:
    """What ``mosaic.oindex`` and ``mosaic.vindex`` give: brackets that select in their way."""

    __slots__ = ("_mosaic", "_way")

    def __init__(self, mosaic: Mosaic, way: str) -> None:
        self._mosaic = mosaic
        self._way = way

    def _map(self, key: Any) -> IndexMap:
        found: IndexMap = getattr(IndexMap.identity(self._mosaic.shape), self._way)(key)
        return found

    def __getitem__(self, key: Any) -> Any:
        return self._mosaic._read(self._map(key))

    def __setitem__(self, key: Any, value: npt.ArrayLike) -> None:
        self._mosaic._write(self._map(key), value)


class _UserAttributes:
    """The attributes of a group but the description of the mosaic, as `Attributes` needs them."""

    _kind: Literal["array", "group"] = "group"

    def __init__(self, group: Group) -> None:
        self._group = group

    @property
    def path(self) -> str:
        return self._group.path

    def _read_attributes(self) -> Mapping[str, Any]:
        found = self._group._read_attributes()
        return {name: value for name, value in found.items() if name != ATTRIBUTE}

    def _change_attributes(self, change: Change) -> None:
        def changed(stored: dict[str, Any]) -> None:
            kept = stored.pop(ATTRIBUTE, None)
            change(stored)
            if ATTRIBUTE in stored:
                raise MetadataError(f"the attribute {ATTRIBUTE!r} describes the mosaic, and stays as it is")
            if kept is not None:
                stored[ATTRIBUTE] = kept

        self._group._change_attributes(changed)

    def _refresh(self) -> None:
        self._group._refresh()


def checked_tiling(description: Description) -> Tiling:
    """Return where the tiles lie.

    Raises
    ------
    MetadataError
        If there are overlaps or gaps that must not be.
    """
    tiling = Tiling(description.shape, description.tiles, description.overlap)
    if description.gaps == "error" and tiling.has_gaps:
        gap = tiling.first_gap()
        assert gap is not None
        raise MetadataError(
            f"no tile covers {box_text(*gap)} of the mosaic of shape {description.shape}; gaps='fill' lets "
            "it read as the fill value"
        )
    return tiling


def _is_memory(store: Store) -> bool:
    from zarrc.storage.memory import MemoryStore

    return isinstance(store, MemoryStore)


def _rebuild(group: Group, config: ArrayConfig) -> Mosaic:
    return Mosaic(group, config=config, check=False)
