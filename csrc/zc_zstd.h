/* zc_zstd.h - Zstandard frames. */
#ifndef ZC_ZSTD_H
#define ZC_ZSTD_H

#include "zc.h"

struct zc_zstd_config {
	int level;	/* -131072 to 22; 0 is zstd's default */
	int checksum;	/* whether the frame ends with a checksum of the content */
};

/* One frame with its content size.  ZC_ETOOLARGE if it does not fit into dst_capacity. */
zc_status zc_zstd_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes);

/* Any number of frames, skippable ones too, with or without content size.  'config' is not read. */
zc_status zc_zstd_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes);

/* A zc_range: of one frame without checksum, no blocks behind the range's end are decoded. */
zc_status zc_zstd_range(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, size_t nbytes,
			size_t first, size_t end, const uint8_t **data_ret);

zc_status zc_zstd_bound(const void *config, size_t nbytes, size_t *bound_ret);

#endif
