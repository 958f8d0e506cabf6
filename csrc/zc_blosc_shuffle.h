/* zc_blosc_shuffle.h - Blosc 1's two filters, applied to one block. */
#ifndef ZC_BLOSC_SHUFFLE_H
#define ZC_BLOSC_SHUFFLE_H

#include "zc_blosc_header.h"

/* Where the bytes of a filtered block are: plane[j] has byte j of each of n_elements elements, or its eight bits. */
struct zc_blosc_planes {
	size_t typesize;
	size_t n_elements;
	const uint8_t *plane[ZC_BLOSC_MAX_TYPESIZE];
};

/* Choose the kernels for this processor.  Call once before any thread uses them: the choice is not locked. */
void zc_blosc_shuffle_init(void);

/* Whether the filter that 'header' names changes a block of 'nbytes' bytes; where not, the block stays as it is. */
int zc_blosc_filters(const struct zc_blosc_header *header, size_t nbytes);

/*
 * Undo the byte shuffle for the bytes [from, to) of a block, within its whole elements: dst gets to - from bytes.  Of
 * each plane only the bytes of the elements that the range touches are read.
 */
void zc_blosc_unshuffle(const struct zc_blosc_planes *planes, size_t from, size_t to, uint8_t *dst);

/* The same for the bit shuffle; ZC_SCRATCH_CODEC1 is used. */
zc_status zc_blosc_bitunshuffle(zc_worker *worker, const struct zc_blosc_planes *planes, size_t from, size_t to,
				uint8_t *dst);

/* Both with the best SIMD level up to 'level' (zc_simd.h; -1: any), for tests. */
void zc_blosc_unshuffle_at(int level, const struct zc_blosc_planes *planes, size_t from, size_t to, uint8_t *dst);
zc_status zc_blosc_bitunshuffle_at(int level, zc_worker *worker, const struct zc_blosc_planes *planes, size_t from,
				   size_t to, uint8_t *dst);

/* Filter a block for which zc_blosc_filters is true.  src and dst do not overlap; both hold nbytes. */
zc_status zc_blosc_filter(const struct zc_blosc_header *header, const uint8_t *src, uint8_t *dst, size_t nbytes);

#endif
