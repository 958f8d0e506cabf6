/*
 * zc_casting.h - which numbers of an array can become integers of a type without change.
 */
#ifndef ZC_CASTING_H
#define ZC_CASTING_H

#include <stddef.h>
#include <stdint.h>

/* The numbers that are looked at. */
typedef enum zc_number {
	ZC_INT8,
	ZC_INT16,
	ZC_INT32,
	ZC_INT64,
	ZC_UINT8,
	ZC_UINT16,
	ZC_UINT32,
	ZC_UINT64,
	ZC_FLOAT16,
	ZC_FLOAT32,
	ZC_FLOAT64,
	ZC_LONG_DOUBLE,
	ZC_N_NUMBERS
} zc_number;

/* An integer type that they should fit: 0 to 2^n_bits - 1, or -2^(n_bits - 1) to 2^(n_bits - 1) - 1.  n_bits 1 to 64. */
typedef struct zc_target {
	int is_signed;
	int n_bits;
} zc_target;

/*
 * The flat index in C order of the first element that is not a whole number in the range of 'target' (NaN and infinities
 * are not), or SIZE_MAX if all are.  Strides in bytes, of any sign, at any alignment; 'is_swapped' says that the bytes
 * of each number stand in the order that is not the machine's (never for long double).
 */
size_t zc_first_misfit(zc_number number, int is_swapped, const uint8_t *src, const ptrdiff_t *strides,
		       const size_t *shape, int ndim, zc_target target);

#endif
