/* zc_snappy.h - Snappy's raw block format, both ways, in our own code (no framing, no checksum). */
#ifndef ZC_SNAPPY_H
#define ZC_SNAPPY_H

#include "zc.h"

/* One raw block; ZC_ETOOLARGE if it does not fit into dst_capacity.  'config' is not read. */
zc_status zc_snappy_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			   size_t dst_capacity, size_t *dst_nbytes);

zc_status zc_snappy_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			   size_t dst_capacity, size_t *dst_nbytes);

zc_status zc_snappy_bound(const void *config, size_t nbytes, size_t *bound_ret);

#endif
