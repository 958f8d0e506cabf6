# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: freethreading_compatible=True
"""Checked casting: integers must fit, floats that become integers must be whole and fit."""

import numpy as np

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport SIZE_MAX, uint8_t

cimport numpy as cnp

from zarrc.errors import CastingError

cdef extern from "zc_casting.h":
    ctypedef enum zc_number:
        ZC_INT8
        ZC_UINT8
        ZC_FLOAT16
        ZC_LONG_DOUBLE
    ctypedef struct zc_target:
        int is_signed
        int n_bits
    size_t zc_first_misfit(zc_number number, int is_swapped, const uint8_t *src, const ptrdiff_t *strides,
                           const size_t *shape, int ndim, zc_target target) noexcept nogil

cnp.import_array()

cdef dict NUMBERS = {"i1": 0, "i2": 1, "i4": 2, "i8": 3, "u1": 4, "u2": 5, "u4": 6, "u8": 7, "f2": 8, "f4": 9, "f8": 10}


def first_misfit(cnp.ndarray values not None, target):
    """The flat index in C order of the first of ``values`` that ``target`` cannot hold.

    Integers must fit an integer target, floats must be whole and fit it; False and True are 0 and 1.  Any number fits a
    float or complex target: it is rounded as NumPy rounds it.

    Parameters
    ----------
    values : ndarray
        Booleans, integers, floats or complex numbers; any strides, any byte order.
    target : numpy.dtype
        The same kinds.

    Returns
    -------
    int or None
        None if all fit.

    Raises
    ------
    TypeError
        If ``values`` or ``target`` are of another kind, or complex numbers should become real.
    """
    cdef zc_target bounds
    target = np.dtype(target)
    dtype = values.dtype
    check_kinds(dtype, target)
    if target.kind not in "biu" or np.can_cast(dtype, target, "safe"):
        return None
    bounds.is_signed = target.kind == "i"
    bounds.n_bits = 1 if target.kind == "b" else 8 * target.itemsize
    held = without_repeats(values)
    index = first_in(held, bounds)
    if index is None or held is values:
        return index
    # The first of repeated elements has index 0 along the repeated axes.
    return int(np.ravel_multi_index(np.unravel_index(index, held.shape), np.shape(values)))


cdef object without_repeats(object values):
    """One of each run of elements that are one in memory, as in a broadcast array."""
    if values.size == 0 or 0 not in values.strides:
        return values
    return values[(*(slice(None) if stride else slice(1) for stride in values.strides), ...)]


cdef object first_in(object values, zc_target bounds):
    if values.flags.c_contiguous:
        index = find(values.reshape(-1), bounds)
    elif find(in_memory_order(values), bounds) == SIZE_MAX:
        return None
    else:
        # In C order, which walks some arrays against their grain: only where there is a misfit.
        index = find(values, bounds)
    return None if index == SIZE_MAX else index


cdef int check_kinds(object dtype, object target) except -1:
    for one in (dtype, target):
        if one.kind not in "biufc":
            raise TypeError(f"checked casting knows numbers and booleans, not {one}")
    if dtype.kind == "c" and target.kind != "c":
        raise TypeError(f"complex numbers ({dtype}) cannot become real ones ({target})")
    return 0


cdef object in_memory_order(object values):
    """The same elements with the axes sorted by stride, flat where that is possible without a copy."""
    order = sorted(range(values.ndim), key=lambda axis: -abs(values.strides[axis]))
    turned = values.transpose(order)
    return turned.reshape(-1) if turned.flags.c_contiguous else turned


cdef size_t find(cnp.ndarray values, zc_target bounds) except? 0:
    """zc_first_misfit on an array of real numbers."""
    cdef bint is_swapped = not values.dtype.isnative
    cdef zc_number number
    cdef size_t result
    kind, itemsize = values.dtype.kind, values.dtype.itemsize
    if kind == "f" and itemsize > 8:
        number = ZC_LONG_DOUBLE
        if is_swapped:
            values = values.astype(values.dtype.newbyteorder("="))
            is_swapped = False
    else:
        number = <zc_number><int>NUMBERS[f"{'u' if kind == 'b' else kind}{itemsize}"]
    with nogil:
        result = zc_first_misfit(number, is_swapped, <const uint8_t *>cnp.PyArray_DATA(values),
                                 <const ptrdiff_t *>cnp.PyArray_STRIDES(values),
                                 <const size_t *>cnp.PyArray_DIMS(values), cnp.PyArray_NDIM(values), bounds)
    return result


def checked_astype(values, target):
    """``values`` as ``target``, every one of them checked to fit.

    Parameters
    ----------
    values : ndarray
        Booleans, integers, floats or complex numbers; any strides, any byte order.
    target : numpy.dtype
        The same kinds, any byte order.

    Returns
    -------
    ndarray
        A new array, or ``values`` itself where it is of the target's type already.  Floats are rounded as NumPy rounds
        them; what is past the target's largest becomes infinite, without a warning.

    Raises
    ------
    CastingError
        If a value does not fit, naming the first (in C order), its index and the target's range; or if complex numbers
        should become real.
    TypeError
        If ``values`` or ``target`` are of another kind.
    """
    target = np.dtype(target)
    values = np.asarray(values)
    if values.dtype == target:
        return values
    if values.dtype.kind == "c" and target.kind in "biuf":
        raise CastingError(f"complex numbers ({values.dtype}) cannot become real ones ({target})")
    index = first_misfit(values, target)
    if index is not None:
        raise CastingError(misfit_message(values, index, target))
    with np.errstate(all="ignore"):
        return values.astype(target, casting="unsafe")


cdef str misfit_message(object values, object flat_index, object target):
    place = tuple(int(i) for i in np.unravel_index(flat_index, values.shape))
    value = values[place]
    low, high = (0, 1) if target.kind == "b" else (np.iinfo(target).min, np.iinfo(target).max)
    at = f" at index {place}" if place else ""
    why = "is not a whole number: it " if values.dtype.kind == "f" and low <= value <= high else ""
    return f"value {value}{at} {why}does not fit {target.name} ({low} to {high})"
