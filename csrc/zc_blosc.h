/* zc_blosc.h - the Blosc 1 chunk: blocks, filtered, split into streams, each compressed on its own. */
#ifndef ZC_BLOSC_H
#define ZC_BLOSC_H

#include "zc_blosc_header.h"

enum zc_blosc_compressor {
	ZC_BLOSC_WITH_BLOSCLZ,
	ZC_BLOSC_WITH_LZ4,
	ZC_BLOSC_WITH_LZ4HC,
	ZC_BLOSC_WITH_SNAPPY,
	ZC_BLOSC_WITH_ZLIB,
	ZC_BLOSC_WITH_ZSTD
};

enum zc_blosc_shuffle {
	ZC_BLOSC_NOSHUFFLE = 0,
	ZC_BLOSC_SHUFFLE = 1,
	ZC_BLOSC_BITSHUFFLE = 2
};

struct zc_blosc_config {
	enum zc_blosc_compressor compressor;
	int clevel;		/* 0 (stored) to 9 */
	enum zc_blosc_shuffle shuffle;
	int typesize;		/* 1 to 255 */
	size_t blocksize;	/* in bytes; 0: chosen for the data */
};

/* One chunk, never longer than src_nbytes + ZC_BLOSC_HEADER_NBYTES, which dst_capacity has to allow. */
zc_status zc_blosc_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			  size_t dst_capacity, size_t *dst_nbytes);

/* One whole chunk.  'config' is not read: the chunk says all. */
zc_status zc_blosc_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			  size_t dst_capacity, size_t *dst_nbytes);

/*
 * A zc_range: only the blocks that hold bytes of the range are decoded, and of them, where the compressor is lz4, no
 * more than the front of each stream.  Of a stored chunk nothing is copied.
 */
zc_status zc_blosc_range(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, size_t nbytes,
			 size_t first, size_t end, const uint8_t **data_ret);

zc_status zc_blosc_bound(const void *config, size_t nbytes, size_t *bound_ret);

#endif
