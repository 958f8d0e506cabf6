/* zc_blosc_shuffle.h - Blosc 1's two filters, applied to one block. */
#ifndef ZC_BLOSC_SHUFFLE_H
#define ZC_BLOSC_SHUFFLE_H

#include "zc_blosc_header.h"

/* Choose the kernels for this processor.  Call once before any thread uses them: the choice is not locked. */
void zc_blosc_shuffle_init(void);

/* Whether the filter that 'header' names changes a block of 'nbytes' bytes; where not, the block stays as it is. */
int zc_blosc_filters(const struct zc_blosc_header *header, size_t nbytes);

/* Filter (undo: unfilter) a block for which zc_blosc_filters is true.  src and dst do not overlap; both hold nbytes. */
zc_status zc_blosc_filter(const struct zc_blosc_header *header, const uint8_t *src, uint8_t *dst, size_t nbytes);
zc_status zc_blosc_unfilter(const struct zc_blosc_header *header, const uint8_t *src, uint8_t *dst, size_t nbytes);

#endif
