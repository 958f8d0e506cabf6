# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A selection: what the user typed, in plain numbers."""

cimport cython
from cpython.object cimport PyObject
from cpython.slice cimport PySlice_Check

from zarrc.errors import BoundsCheckError, SelectionError

cdef extern from "Python.h":
    int PySlice_Unpack(object slice, Py_ssize_t *start, Py_ssize_t *stop, Py_ssize_t *step) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t length, Py_ssize_t *start, Py_ssize_t *stop, Py_ssize_t step)
    Py_ssize_t PyNumber_AsSsize_t(object o, PyObject *exc) except? -1
    bint PyIndex_Check(object o)
    PyObject *PyExc_IndexError


@cython.final
cdef class Selection:
    """A basic selection: for each axis of the array a start, a step and a count, and the shape of the result.

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
        _parse(self, key, len(shape), extents)

    @property
    def axes(self):
        """(start, step, count) of each axis of the array."""
        return tuple([(self.axis[i].start, self.axis[i].step, self.axis[i].count) for i in range(self.ndim)])

    @property
    def result_shape(self):
        """Shape of what a read gives and a write takes."""
        return tuple([self.result_shape_[i] for i in range(self.result_ndim)])


cdef Selection parse_basic(object key, int ndim, const int64_t *shape):
    cdef Selection selection = Selection.__new__(Selection)
    _parse(selection, key, ndim, shape)
    return selection


cdef int _parse(Selection selection, object key, int ndim, const int64_t *shape) except -1:
    cdef tuple items = <tuple>key if isinstance(key, tuple) else (key,)
    cdef int axis = 0
    cdef int omitted
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
    return 0


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
    selection.axis[axis] = zc_axis(start=start, step=step, count=count, result_axis=selection.result_ndim)
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
    if not PyIndex_Check(item) or isinstance(item, bool):
        raise SelectionError(_not_an_index(item))
    try:
        index = PyNumber_AsSsize_t(item, PyExc_IndexError)
    except IndexError:
        raise BoundsCheckError(f"index {item} is out of bounds for axis {axis} with size {extent}") from None
    except TypeError:
        raise SelectionError(_not_an_index(item)) from None
    if index < -extent or index >= extent:
        raise BoundsCheckError(f"index {index} is out of bounds for axis {axis} with size {extent}")
    if index < 0:
        index += extent
    selection.axis[axis] = zc_axis(start=index, step=1, count=1, result_axis=-1)
    return 0


def _not_an_index(item):
    text = "only integers, slices (':'), ellipsis ('...') and numpy.newaxis (None) are valid indices here"
    text = f"{text}, got {type(item).__name__} {item!r:.80}"
    if isinstance(item, (list, tuple)) or hasattr(item, "__array__"):
        text += "; lists, arrays and masks are not in this version: read the box around them, and index the result"
    return text
