# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A selection: what the user typed, in plain numbers."""

cimport cython
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.slice cimport PySlice_Check

import numpy as np

from zarrc.errors import BoundsCheckError, SelectionError

cdef extern from "Python.h":
    int PySlice_Unpack(object slice, Py_ssize_t *start, Py_ssize_t *stop, Py_ssize_t *step) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t length, Py_ssize_t *start, Py_ssize_t *stop, Py_ssize_t step)
    Py_ssize_t PyNumber_AsSsize_t(object o, PyObject *exc) except? -1
    bint PyIndex_Check(object o)
    PyObject *PyExc_IndexError


cdef enum:
    # Of a mask in which one of so many elements is true, or fewer, coordinates cost less than walking it.
    SPARSE = 64


@cython.final
cdef class Selection:
    """A selection: for each axis of the array a start, a step and a count, and the shape of the result.

    Made from a key it is a basic one; `make_selection` and `mask_selection` make those of lists and masks.

    Parameters
    ----------
    key : int, slice, Ellipsis, None or a tuple of these
        What stands in the brackets of ``a[key]``.
    shape : tuple of int
        Shape of the array.

    Raises
    ------
    BoundsCheckError
        If an integer is out of bounds.
    SelectionError
        If there are too many indices, or one is of a kind that does not select.
    """

    def __init__(self, key, shape):
        cdef int64_t extents[MAX_NDIM]
        cdef int i
        if len(shape) > MAX_NDIM:
            raise SelectionError(f"an array has at most {MAX_NDIM} dimensions, got {len(shape)}")
        for i in range(len(shape)):
            extents[i] = shape[i]
        if not _parse(self, key, len(shape), extents):
            raise SelectionError(f"not a basic selection: {type(key).__name__} {key!r:.80}")

    @property
    def axes(self):
        """(start, step, count) of each axis of the array; None of those that are selected by lists."""
        return tuple([(self.axis[i].start, self.axis[i].step, self.axis[i].count) if self.axis[i].group < 0 else None
                      for i in range(self.ndim)])

    @property
    def is_box(self):
        """Whether there are no lists and no mask, and the result has the array's axes in their order."""
        cdef int last = -1
        cdef int d
        if self.groups is not None or self.mask is not None:
            return False
        for d in range(self.ndim):
            if self.axis[d].result_axis >= 0:
                if self.axis[d].result_axis < last:
                    return False
                last = self.axis[d].result_axis
        return True

    @property
    def box(self):
        """`axes`, where the selection is a box."""
        if not self.is_box:
            raise TypeError("the selection is not a box")
        return self.axes

    @property
    def result_shape(self):
        """Shape of what a read gives and a write takes."""
        return tuple([self.result_shape_[i] for i in range(self.result_ndim)])


def make_selection(array_shape, axes, groups, result_shape, is_scalar=False):
    """A selection of any kind but a mask, from its parts.

    Parameters
    ----------
    array_shape : tuple of int
    axes : sequence
        For each axis of the array ``(start, step, count, result axis)``, where the result axis is -1 if an integer
        dropped it; or None, if the axis belongs to a group.
    groups : sequence of (axes, arrays, result axes)
        Axes that are selected together, point by point: ``arrays[i]`` (int64, of the shape that the result has along the
        result axes, with any strides) has the indices along array axis ``axes[i]``, which must be inside it.
    result_shape : tuple of int
        Where a dimension belongs to no axis and no group, it is 1.
    is_scalar : bool
        Whether a read gives a NumPy scalar.

    Returns
    -------
    Selection

    Notes
    -----
    Writes go in C order of the points of a group: of several to one element the last one wins.
    """
    cdef Selection selection = _empty_selection(array_shape, result_shape)
    cdef int d
    selection.is_scalar = is_scalar
    for d, axis in enumerate(axes):
        if axis is not None:
            start, step, count, result_axis = axis
            if count <= 1:
                step = 1 if step > 0 else -1    # as in _parse_slice
            selection.axis[d] = zc_axis(start=start, step=step, count=count, result_axis=result_axis, group=-1)
    selection.groups = tuple([(tuple(of), tuple(arrays), tuple(along)) for of, arrays, along in groups]) or None
    for number, (of, _, _) in enumerate(selection.groups or ()):
        for axis in of:
            selection.axis[<int>axis].group = number
    return selection


def mask_selection(array_shape, mask):
    """The elements where a mask of the whole array is true, in C order.

    Parameters
    ----------
    array_shape : tuple of int
    mask : numpy.ndarray of bool
        Of the array's shape, contiguous in C order.
    """
    cdef Selection selection
    n_true = int(np.count_nonzero(mask))
    if 0 < n_true <= mask.size // SPARSE:
        return _points_of_mask(array_shape, mask, n_true)
    selection = _empty_selection(array_shape, (n_true,))
    for d, extent in enumerate(array_shape):
        selection.axis[<int>d] = zc_axis(start=0, step=1, count=extent if n_true else 0, result_axis=-1, group=-1)
    selection.mask = mask
    return selection


cdef Selection _points_of_mask(array_shape, mask, n_true):
    """The same as a list of points: which chunks have none is known then before any is looked at."""
    # Much faster than nonzero() of several dimensions.
    places = np.unravel_index(np.flatnonzero(mask.reshape(-1)), array_shape)
    axes = range(len(array_shape))
    return make_selection(array_shape, [None] * len(array_shape),
                          [(tuple(axes), [np.ascontiguousarray(one, dtype=np.int64) for one in places], (0,))], (n_true,))


cdef Selection _empty_selection(array_shape, result_shape):
    cdef Selection selection = Selection.__new__(Selection)
    cdef int i
    if len(array_shape) > MAX_NDIM:
        raise SelectionError(f"an array has at most {MAX_NDIM} dimensions, got {len(array_shape)}")
    selection.ndim = len(array_shape)
    for extent in result_shape:
        _add_result_axis(selection, extent)
    for i in range(selection.ndim):
        selection.axis[i] = zc_axis(start=0, step=1, count=0, result_axis=-1, group=-1)
    return selection


cdef Selection parse_basic(object key, int ndim, const int64_t *shape):
    cdef Selection selection = Selection.__new__(Selection)
    return selection if _parse(selection, key, ndim, shape) else None


cdef bint _is_basic(object key):
    """Whether there is nothing but integers, slices, Ellipsis and None."""
    cdef tuple items = <tuple>key if isinstance(key, tuple) else (key,)
    for item in items:
        if (not (item is None or item is Ellipsis or PySlice_Check(item) or PyLong_CheckExact(item))
                and (isinstance(item, bool) or not PyIndex_Check(item) or getattr(item, "shape", ()) != ()
                     or getattr(item, "dtype", None) == bool)):
            return False
    return True


cdef bint _parse(Selection selection, object key, int ndim, const int64_t *shape) except -1:
    """Whether the key is a basic selection, which is noted then."""
    cdef tuple items = <tuple>key if isinstance(key, tuple) else (key,)
    cdef int axis = 0
    cdef int omitted
    if not _is_basic(items):
        return False
    selection.ndim = ndim
    selection.result_ndim = 0
    selection.is_scalar = True
    omitted = _count_omitted(items, ndim)
    for item in items:
        if item is Ellipsis:
            selection.is_scalar = False
            for _ in range(omitted):
                _take_slice(selection, axis, 0, shape[axis], 1)
                axis += 1
            omitted = 0
        elif item is None:
            selection.is_scalar = False
            _add_result_axis(selection, 1)
        elif PySlice_Check(item):
            selection.is_scalar = False
            _parse_slice(selection, axis, item, shape[axis])
            axis += 1
        else:
            _parse_integer(selection, axis, item, shape[axis])
            axis += 1
    while axis < ndim:
        selection.is_scalar = False
        _take_slice(selection, axis, 0, shape[axis], 1)
        axis += 1
    return True


cdef int _count_omitted(tuple items, int ndim) except -1:
    """The axes that an Ellipsis stands for; an error if there are more indices than axes."""
    cdef int n_ellipses = 0
    cdef int n_indices = 0
    for item in items:
        if item is Ellipsis:
            n_ellipses += 1
        elif item is not None:
            n_indices += 1
    if n_ellipses > 1:
        raise SelectionError("an index can only have a single ellipsis ('...')")
    if n_indices > ndim:
        raise SelectionError(
            f"too many indices for array: array is {ndim}-dimensional, but {n_indices} were indexed"
        )
    return ndim - n_indices


cdef int _add_result_axis(Selection selection, int64_t extent) except -1:
    if selection.result_ndim == MAX_RESULT_NDIM:
        raise SelectionError(f"the result would have more than {MAX_RESULT_NDIM} dimensions")
    selection.result_shape_[selection.result_ndim] = extent
    selection.result_ndim += 1
    return 0


cdef int _take_slice(Selection selection, int axis, int64_t start, int64_t count, int64_t step) except -1:
    selection.axis[axis] = zc_axis(start=start, step=step, count=count, result_axis=selection.result_ndim, group=-1)
    return _add_result_axis(selection, count)


cdef int _parse_slice(Selection selection, int axis, object item, int64_t extent) except -1:
    cdef Py_ssize_t start, stop, step
    try:
        PySlice_Unpack(item, &start, &stop, &step)
    except TypeError as error:
        raise SelectionError(f"{error}, got {item} for axis {axis}") from None
    cdef int64_t count = PySlice_AdjustIndices(extent, &start, &stop, step)
    # A step beyond the axis is the same as one that leaves it at once, and cannot overflow later.
    if count <= 1:
        step = 1 if step > 0 else -1
    return _take_slice(selection, axis, start if count else 0, count, step)


cdef int _parse_integer(Selection selection, int axis, object item, int64_t extent) except -1:
    cdef Py_ssize_t index
    try:
        index = PyNumber_AsSsize_t(item, PyExc_IndexError)
    except IndexError:
        raise BoundsCheckError(f"index {item} is out of bounds for axis {axis} with size {extent}") from None
    except TypeError:
        raise SelectionError(f"{type(item).__name__} {item!r:.80} is not an integer") from None
    if index < -extent or index >= extent:
        raise BoundsCheckError(f"index {index} is out of bounds for axis {axis} with size {extent}")
    if index < 0:
        index += extent
    selection.axis[axis] = zc_axis(start=index, step=1, count=1, result_axis=-1, group=-1)
    return 0
