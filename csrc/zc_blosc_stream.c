#include "zc_blosc_stream.h"

#include <limits.h>

#include <blosclz.h>

#include "zc_compressor.h"
#include "zc_deflate.h"
#include "zc_lz4.h"
#include "zc_snappy.h"
#include "zc_zstd.h"

/* blosclz reads and writes past anything shorter. */
#define BLOSCLZ_MIN_SRC 16
#define BLOSCLZ_MIN_DST 66

/*
 * blosclz adds up a match's length in an int, 255 for each byte 0xff, so a run of INT_MAX / 255 of them makes it
 * negative.  A true stream has no run a tenth as long: it would stand for more than a block may hold.
 */
#define BLOSCLZ_MAX_RUN ((size_t)INT_MAX / 255 - 1)

/* zstd's own levels for clevel 1 to 9, from c-blosc 1: 2 * clevel - 1, then steps to the top. */
static const int zstd_levels[10] = {0, 1, 3, 5, 7, 9, 11, 13, 20, 22};

static zc_status blosclz_encode(int clevel, const uint8_t *src, size_t src_nbytes, uint8_t *dst, size_t dst_capacity,
				size_t *dst_nbytes)
{
	int result;

	if (src_nbytes < BLOSCLZ_MIN_SRC || dst_capacity < BLOSCLZ_MIN_DST)
		return ZC_ETOOLARGE;
	result = blosclz_compress(clevel, src, (int)src_nbytes, dst, (int)dst_capacity, NULL);
	if (result <= 0)
		return ZC_ETOOLARGE;
	*dst_nbytes = (size_t)result;
	return ZC_OK;
}

/* Whether 'src' has a run of 0xff that blosclz cannot add up. */
static int has_huge_run(const uint8_t *src, size_t src_nbytes)
{
	size_t run = 0;

	for (size_t i = 0; i < src_nbytes && run <= BLOSCLZ_MAX_RUN; i++)
		run = src[i] == 0xff ? run + 1 : 0;
	return run > BLOSCLZ_MAX_RUN;
}

static zc_status blosclz_decode(zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst, size_t nbytes)
{
	if (src_nbytes > BLOSCLZ_MAX_RUN && has_huge_run(src, src_nbytes))
		return zc_fail(worker, ZC_ECORRUPT, "a blosclz match is longer than any block");
	if ((size_t)blosclz_decompress(src, (int)src_nbytes, dst, (int)nbytes) != nbytes)
		return zc_fail(worker, ZC_ECORRUPT, "a blosclz stream is damaged or cut");
	return ZC_OK;
}

zc_status zc_blosc_stream_encode(const struct zc_blosc_config *config, zc_worker *worker, const uint8_t *src,
				 size_t src_nbytes, uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes)
{
	int clevel = config->clevel;
	const struct zc_deflate_config deflate = {clevel};
	const struct zc_zstd_config zstd = {zstd_levels[clevel], 0};

	switch (config->compressor) {
	case ZC_BLOSC_WITH_BLOSCLZ:
		return blosclz_encode(clevel, src, src_nbytes, dst, dst_capacity, dst_nbytes);
	case ZC_BLOSC_WITH_LZ4:
		return zc_lz4_block_encode(worker, 10 - clevel, src, src_nbytes, dst, dst_capacity, dst_nbytes);
	case ZC_BLOSC_WITH_LZ4HC:
		return zc_lz4hc_block_encode(worker, clevel, src, src_nbytes, dst, dst_capacity, dst_nbytes);
	case ZC_BLOSC_WITH_SNAPPY:
		return zc_snappy_encode(NULL, worker, src, src_nbytes, dst, dst_capacity, dst_nbytes);
	case ZC_BLOSC_WITH_ZLIB:
		return zc_zlib_encode(&deflate, worker, src, src_nbytes, dst, dst_capacity, dst_nbytes);
	case ZC_BLOSC_WITH_ZSTD:
		return zc_zstd_encode(&zstd, worker, src, src_nbytes, dst, dst_capacity, dst_nbytes);
	default:
		return zc_fail(worker, ZC_EINVAL, "Blosc compressor");
	}
}

/* A stream has one right length, so one that is shorter or longer is damage, whatever the compressor calls it. */
static zc_status stream_status(zc_worker *worker, zc_status status, size_t got_nbytes, size_t nbytes)
{
	if (status == ZC_ETRUNCATED || status == ZC_ETOOLARGE)
		return ZC_ECORRUPT;
	if (status == ZC_OK && got_nbytes != nbytes)
		return zc_fail(worker, ZC_ECORRUPT, "a stream of the Blosc chunk is too short");
	return status;
}

zc_status zc_blosc_stream_decode(enum zc_blosc_format format, zc_worker *worker, const uint8_t *src,
				 size_t src_nbytes, uint8_t *dst, size_t nbytes)
{
	size_t got_nbytes = nbytes;
	zc_status status;

	switch (format) {
	case ZC_BLOSC_BLOSCLZ:
		status = blosclz_decode(worker, src, src_nbytes, dst, nbytes);
		break;
	case ZC_BLOSC_LZ4:
		status = zc_lz4_block_decode(worker, src, src_nbytes, dst, nbytes);
		break;
	case ZC_BLOSC_SNAPPY:
		status = zc_snappy_decode(NULL, worker, src, src_nbytes, dst, nbytes, &got_nbytes);
		break;
	case ZC_BLOSC_ZLIB:
		status = zc_zlib_decode(NULL, worker, src, src_nbytes, dst, nbytes, &got_nbytes);
		break;
	case ZC_BLOSC_ZSTD:
		status = zc_zstd_decode(NULL, worker, src, src_nbytes, dst, nbytes, &got_nbytes);
		break;
	default:
		status = zc_fail(worker, ZC_EUNSUPPORTED, "the Blosc chunk's compressor is not known");
	}
	return stream_status(worker, status, got_nbytes, nbytes);
}
