/*
 * zc_crc32c.h - CRC-32C (Castagnoli), and the crc32c codec: the bytes followed by their checksum.
 */
#ifndef ZC_CRC32C_H
#define ZC_CRC32C_H

#include "zc.h"

#define ZC_CRC32C_NBYTES 4

enum zc_crc32c_level {
	ZC_CRC32C_TABLES = 0,	/* any machine */
	ZC_CRC32C_HARDWARE = 1,	/* the machine's crc32c instruction, one stream */
	ZC_CRC32C_STREAMS = 2	/* three streams at once */
};

/* The checksum of 'data', which continues 'value', the checksum of what came before (0 at the start). */
uint32_t zc_crc32c(const uint8_t *data, size_t nbytes, uint32_t value);

/* The same by the method of a level, or the best that this machine has if that is lower (or 'level' is negative). */
uint32_t zc_crc32c_at(int level, const uint8_t *data, size_t nbytes, uint32_t value);
int zc_crc32c_best_level(void);

/*
 * Codec kernel (zc.h), without configuration.  Encoded: the bytes, then the checksum as little-endian u32.
 * Decoding gives ZC_ETRUNCATED for less than 4 bytes, ZC_ECHECKSUM where the checksum differs.
 */
zc_status zc_crc32c_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			   uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes);
zc_status zc_crc32c_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			   uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes);
zc_status zc_crc32c_bound(const void *config, size_t nbytes, size_t *bound_ret);

/* Only the check of zc_crc32c_decode, in place: ZC_OK if the last 4 bytes of 'src' are the checksum of the others. */
zc_status zc_crc32c_verify(const uint8_t *src, size_t src_nbytes);

#endif
