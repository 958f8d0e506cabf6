/* zc_blosc_header.h - the 16 bytes in front of a Blosc 1 chunk, and where its blocks are. */
#ifndef ZC_BLOSC_HEADER_H
#define ZC_BLOSC_HEADER_H

#include "zc.h"

#define ZC_BLOSC_HEADER_NBYTES ((size_t)16)

/* Lengths are int32 in the header, and a stored chunk is its header longer than its content. */
#define ZC_BLOSC_MAX_NBYTES ((size_t)INT32_MAX - ZC_BLOSC_HEADER_NBYTES)

#define ZC_BLOSC_MAX_TYPESIZE 255

/* A block is one stream for each byte of a typesize up to this, if each would have at least so many bytes. */
#define ZC_BLOSC_MAX_SPLITS 16
#define ZC_BLOSC_MIN_SPLIT_NBYTES 128

enum zc_blosc_flag {
	ZC_BLOSC_SHUFFLED = 0x01,	/* bytes */
	ZC_BLOSC_STORED = 0x02,		/* the content follows the header as it is */
	ZC_BLOSC_BITSHUFFLED = 0x04,
	ZC_BLOSC_NOT_SPLIT = 0x10
};

/* Bits 5-7 of the flags: the format of the streams (lz4 and lz4hc are two ways to make one format). */
enum zc_blosc_format {
	ZC_BLOSC_BLOSCLZ = 0,
	ZC_BLOSC_LZ4 = 1,
	ZC_BLOSC_SNAPPY = 2,
	ZC_BLOSC_ZLIB = 3,
	ZC_BLOSC_ZSTD = 4,
	ZC_BLOSC_N_FORMATS
};

struct zc_blosc_header {
	unsigned flags;
	enum zc_blosc_format format;
	size_t typesize;
	size_t nbytes;		/* decoded */
	size_t blocksize;	/* decoded, of every block but the last */
	size_t cbytes;		/* of the whole chunk, header included */
	size_t n_blocks;	/* 0 where the chunk is stored or empty */
};

/*
 * Read and check the header of a chunk that has 'src_nbytes' bytes; more bytes than the header says are an error.
 * What passes: 1 <= typesize <= 255, 1 <= blocksize <= nbytes where there are blocks, cbytes == src_nbytes, nbytes not
 * beyond what so many bytes can stand for (so that scratch memory is in proportion to them), and the table of block
 * starts is inside the chunk.
 */
zc_status zc_blosc_read_header(zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			       struct zc_blosc_header *header_ret);

/* The counterpart: all fields but n_blocks are written. */
void zc_blosc_write_header(const struct zc_blosc_header *header, uint8_t *dst);

/* How many streams a block of 'block_nbytes' bytes has; header->blocksize and typesize decide together with the flags. */
size_t zc_blosc_n_streams(const struct zc_blosc_header *header, size_t block_nbytes);

/* The decoded length of block 'i' of n_blocks. */
size_t zc_blosc_block_nbytes(const struct zc_blosc_header *header, size_t i);

#endif
