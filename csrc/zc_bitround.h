/*
 * zc_bitround.h - the bitround codec: numbers rounded half to even to a few significant bits.
 */
#ifndef ZC_BITROUND_H
#define ZC_BITROUND_H

#include "zc.h"

enum zc_bitround_kind {
	ZC_BITROUND_FLOAT = 0,
	ZC_BITROUND_SIGNED = 1,
	ZC_BITROUND_UNSIGNED = 2
};

typedef struct zc_bitround_config {
	int kind;	/* enum zc_bitround_kind */
	int itemsize;	/* 1, 2, 4, 8; floats 2, 4, 8 */
	int keepbits;	/* at least 1 */
	int n_components;	/* numbers in an element: 2 for complex, which is two floats of 'itemsize', else 1 */
} zc_bitround_config;

/*
 * Round 'n_elements' elements in place, in the machine's byte order, at any alignment.
 * Floats keep 'keepbits' bits of the mantissa; NaN and infinities stay as they are; what rounds past the largest number
 * becomes infinite.  Integers keep 'keepbits' bits from the highest set bit of the pattern taken as unsigned (so from
 * the sign bit of a negative number); what rounds past the largest pattern is cut instead.  Does nothing where
 * 'keepbits' is all the bits there are.
 */
void zc_bitround(const zc_bitround_config *config, void *data, size_t n_elements);

/* The same at a SIMD level (zc_simd.h), from 'src' to 'dst', which are equal or do not overlap. */
void zc_bitround_at(int level, const zc_bitround_config *config, void *dst, const void *src, size_t n_elements);

/* Codec kernel (zc.h): encode rounds, decode copies; the size stays.  ZC_ELENGTH for a part of an element. */
zc_status zc_bitround_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			     uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes);
zc_status zc_bitround_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			     uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes);
zc_status zc_bitround_bound(const void *config, size_t nbytes, size_t *bound_ret);

#endif
