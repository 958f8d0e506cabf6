/* zc_lz4.h - LZ4 blocks: bare, and with numcodecs' length in front. */
#ifndef ZC_LZ4_H
#define ZC_LZ4_H

#include "zc.h"

struct zc_lz4_config {
	int acceleration;	/* 1 is the densest; higher is faster */
};

/* The decoded length (u32, little-endian), then one LZ4 block: the codec `numcodecs.lz4`. */
zc_status zc_lz4_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			size_t dst_capacity, size_t *dst_nbytes);

zc_status zc_lz4_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			size_t dst_capacity, size_t *dst_nbytes);

/* A zc_range: decodes as far as the range's end. */
zc_status zc_lz4_range(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, size_t nbytes,
		       size_t first, size_t end, const uint8_t **data_ret);

zc_status zc_lz4_bound(const void *config, size_t nbytes, size_t *bound_ret);

/* One bare block; ZC_ETOOLARGE if it does not fit into dst_capacity. */
zc_status zc_lz4_block_encode(zc_worker *worker, int acceleration, const uint8_t *src, size_t src_nbytes,
			      uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes);

/* The same with the slow, dense matcher; level 1 to 12. */
zc_status zc_lz4hc_block_encode(zc_worker *worker, int level, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
				size_t dst_capacity, size_t *dst_nbytes);

/* One bare block that decodes to exactly 'nbytes' bytes. */
zc_status zc_lz4_block_decode(zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst, size_t nbytes);

/* What these two may write past 'nbytes'. */
#define ZC_LZ4_FRONT_SLACK ((size_t)32)

/* The first 'nbytes' bytes of what a bare block decodes to; 'dst' has room for ZC_LZ4_FRONT_SLACK more. */
zc_status zc_lz4_block_decode_front(zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
				    size_t nbytes);

/* As zc_lz4_block_decode, but 'dst' has room for ZC_LZ4_FRONT_SLACK more; five times as fast for runs of equal bytes. */
zc_status zc_lz4_block_decode_roomy(zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
				    size_t nbytes);

#endif
