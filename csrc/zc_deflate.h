/* zc_deflate.h - the two wrappings of DEFLATE: gzip (RFC 1952) and zlib (RFC 1950). */
#ifndef ZC_DEFLATE_H
#define ZC_DEFLATE_H

#include "zc.h"

struct zc_deflate_config {
	int level;	/* 0 (stored) to 9; -1 is zlib's default, 6 */
};

/*
 * One gzip member; its header has no name and no time, so equal input gives equal bytes.
 * ZC_ETOOLARGE if it does not fit into dst_capacity.
 */
zc_status zc_gzip_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes);

/* One or more members, decoded one after the other; zeros after the last one are padding.  'config' is not read. */
zc_status zc_gzip_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes);

zc_status zc_gzip_bound(const void *config, size_t nbytes, size_t *bound_ret);

/* One zlib stream; ZC_ETOOLARGE if it does not fit into dst_capacity. */
zc_status zc_zlib_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes);

/* One zlib stream; zeros after it are padding.  'config' is not read. */
zc_status zc_zlib_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes);

zc_status zc_zlib_bound(const void *config, size_t nbytes, size_t *bound_ret);

#endif
