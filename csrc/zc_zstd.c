#include "zc_zstd.h"

/* Block splitting, and the functions that decode block by block into one buffer, are only declared for static linking. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "zc_compressor.h"

/* A compression context above this (levels near 22) is freed after the call instead of kept in each worker. */
#define KEEP_CONTEXT_NBYTES ((size_t)64 << 20)

static void free_cctx(void *context)
{
	ZSTD_freeCCtx(context);
}

static void free_dctx(void *context)
{
	ZSTD_freeDCtx(context);
}

static ZSTD_CCtx *worker_cctx(zc_worker *worker)
{
	void *context = worker->context[ZC_CONTEXT_ZSTD_COMPRESS];

	if (context == NULL)
		context = zc_context_keep(worker, ZC_CONTEXT_ZSTD_COMPRESS, ZSTD_createCCtx(), 0, free_cctx);
	return context;
}

static ZSTD_DCtx *worker_dctx(zc_worker *worker)
{
	void *context = worker->context[ZC_CONTEXT_ZSTD_DECOMPRESS];

	if (context == NULL)
		context = zc_context_keep(worker, ZC_CONTEXT_ZSTD_DECOMPRESS, ZSTD_createDCtx(), 0, free_dctx);
	return context;
}

/*
 * Whether zstd looks for places to split its blocks of 128 KiB (0: as the level says, 1: no).  zstd 1.5.7 does so from
 * level 1 on, earlier releases did not below level 13.  In 4 MB of integers with four noisy bits, smooth floats and volumes
 * (Zen 3) that makes encoding at levels 3 and 4 slower by up to a half and decoding by a quarter, for 1 to 2 % fewer bytes;
 * from level 5 on the search for matches hides it, and those who ask for more get it.
 */
static int block_splitter_level(int level, size_t src_nbytes)
{
	return ZSTD_getCParams(level, src_nbytes, 0).strategy <= ZSTD_dfast ? 1 : 0;
}

static size_t set_parameters(ZSTD_CCtx *cctx, const struct zc_zstd_config *config, size_t src_nbytes)
{
	size_t result = ZSTD_CCtx_reset(cctx, ZSTD_reset_session_and_parameters);

	if (!ZSTD_isError(result))
		result = ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, config->level);
	if (!ZSTD_isError(result))
		result = ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, config->checksum != 0);
	if (!ZSTD_isError(result))
		result = ZSTD_CCtx_setParameter(cctx, ZSTD_c_blockSplitterLevel,
						block_splitter_level(config->level, src_nbytes));
	return result;
}

zc_status zc_zstd_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes)
{
	ZSTD_CCtx *cctx = worker_cctx(worker);
	size_t result;

	if (cctx == NULL)
		return ZC_ENOMEM;
	result = set_parameters(cctx, config, src_nbytes);
	if (ZSTD_isError(result))
		return zc_fail(worker, ZC_EINVAL, ZSTD_getErrorName(result));
	result = ZSTD_compress2(cctx, dst, dst_capacity, zc_src_or_empty(src), src_nbytes);
	if (ZSTD_sizeof_CCtx(cctx) > KEEP_CONTEXT_NBYTES)
		zc_context_drop(worker, ZC_CONTEXT_ZSTD_COMPRESS);
	if (!ZSTD_isError(result)) {
		*dst_nbytes = result;
		return ZC_OK;
	}
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return ZC_ENOMEM;
	case ZSTD_error_dstSize_tooSmall:
		return ZC_ETOOLARGE;
	default:
		return zc_fail(worker, ZC_EINVAL, ZSTD_getErrorName(result));
	}
}

/* zstd has one error for an input that stops early and one that goes on after its last frame; tell them apart. */
static zc_status wrong_src_nbytes(zc_worker *worker, const uint8_t *src, size_t src_nbytes)
{
	while (src_nbytes > 0) {
		size_t frame_nbytes = ZSTD_findFrameCompressedSize(src, src_nbytes);

		if (ZSTD_getErrorCode(frame_nbytes) == ZSTD_error_prefix_unknown)
			return zc_fail(worker, ZC_ECORRUPT, "something else follows the zstd frame");
		if (ZSTD_isError(frame_nbytes))
			break;
		src += frame_nbytes;
		src_nbytes -= frame_nbytes;
	}
	return zc_fail(worker, ZC_ETRUNCATED, "the zstd frame is cut");
}

static zc_status decode_failed(zc_worker *worker, size_t result, const uint8_t *src, size_t src_nbytes)
{
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
		return ZC_ENOMEM;
	case ZSTD_error_dstSize_tooSmall:
		return ZC_ETOOLARGE;
	case ZSTD_error_srcSize_wrong:
		return wrong_src_nbytes(worker, src, src_nbytes);
	case ZSTD_error_checksum_wrong:
		return zc_fail(worker, ZC_ECHECKSUM, "zstd content checksum");
	case ZSTD_error_dictionary_wrong:
		return zc_fail(worker, ZC_EUNSUPPORTED, "the zstd frame needs a dictionary");
	case ZSTD_error_version_unsupported:
	case ZSTD_error_frameParameter_unsupported:
	case ZSTD_error_frameParameter_windowTooLarge:
		return zc_fail(worker, ZC_EUNSUPPORTED, ZSTD_getErrorName(result));
	case ZSTD_error_prefix_unknown:
		return zc_fail(worker, ZC_ECORRUPT, "not a zstd frame");
	default:
		return zc_fail(worker, ZC_ECORRUPT, "zstd found damaged data");
	}
}

zc_status zc_zstd_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			 size_t dst_capacity, size_t *dst_nbytes)
{
	ZSTD_DCtx *dctx;
	unsigned long long claimed;
	size_t result;

	(void)config;
	if (src_nbytes == 0)
		return zc_fail(worker, ZC_ETRUNCATED, "no zstd frame");
	claimed = ZSTD_getFrameContentSize(src, src_nbytes);
	if (claimed < ZSTD_CONTENTSIZE_ERROR && claimed > dst_capacity)
		return zc_fail(worker, ZC_ETOOLARGE, "content size of the zstd frame");
	dctx = worker_dctx(worker);
	if (dctx == NULL)
		return ZC_ENOMEM;
	/* The one-shot call decodes into dst alone: no window is allocated, whatever the frame asks for. */
	result = ZSTD_decompressDCtx(dctx, dst, dst_capacity, src, src_nbytes);
	if (ZSTD_isError(result))
		return decode_failed(worker, result, src, src_nbytes);
	*dst_nbytes = result;
	return ZC_OK;
}

/* Whether the input is one frame that says it has 'nbytes' bytes, whole, and without a checksum of them. */
static int may_stop_early(const uint8_t *src, size_t src_nbytes, size_t nbytes)
{
	ZSTD_FrameHeader header;

	if (ZSTD_getFrameHeader(&header, src, src_nbytes) != 0 || header.frameType != ZSTD_frame)
		return 0;
	if (header.frameContentSize != nbytes || header.checksumFlag || header.dictID != 0)
		return 0;
	return ZSTD_findFrameCompressedSize(src, src_nbytes) == src_nbytes;
}

/* Decode whole blocks until there are 'end' bytes. */
static zc_status decode_front(zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst, size_t capacity,
			      size_t end)
{
	ZSTD_DCtx *dctx = worker_dctx(worker);
	size_t got = 0, result;

	if (dctx == NULL)
		return ZC_ENOMEM;
	result = ZSTD_decompressBegin(dctx);
	while (!ZSTD_isError(result) && got < end) {
		size_t step = ZSTD_nextSrcSizeToDecompress(dctx);

		if (step == 0 || step > src_nbytes)	/* the frame ends before its content size */
			return zc_fail(worker, ZC_ECORRUPT, "zstd found damaged data");
		result = ZSTD_decompressContinue(dctx, dst + got, capacity - got, src, step);
		src += step;
		src_nbytes -= step;
		got += ZSTD_isError(result) ? 0 : result;
	}
	return ZSTD_isError(result) ? decode_failed(worker, result, src, src_nbytes) : ZC_OK;
}

zc_status zc_zstd_range(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, size_t nbytes,
			size_t first, size_t end, const uint8_t **data_ret)
{
	/* The block that holds the end may go on for as much as a block can have. */
	int front = nbytes > ZSTD_BLOCKSIZE_MAX && end <= nbytes - ZSTD_BLOCKSIZE_MAX &&
		    may_stop_early(src, src_nbytes, nbytes);
	size_t capacity = front ? end + ZSTD_BLOCKSIZE_MAX : nbytes;
	uint8_t *dst = zc_worker_scratch(worker, ZC_SCRATCH_CODEC2, capacity);
	size_t dst_nbytes = 0;
	zc_status status;

	if (dst == NULL)
		return ZC_ENOMEM;
	*data_ret = dst + first;
	if (front)
		return decode_front(worker, src, src_nbytes, dst, capacity, end);
	status = zc_zstd_decode(config, worker, src, src_nbytes, dst, nbytes, &dst_nbytes);
	return status == ZC_OK && dst_nbytes != nbytes ? ZC_ELENGTH : status;
}

zc_status zc_zstd_bound(const void *config, size_t nbytes, size_t *bound_ret)
{
	size_t bound = ZSTD_compressBound(nbytes);

	(void)config;
	if (ZSTD_isError(bound))
		return ZC_ELIMIT;
	*bound_ret = bound;
	return ZC_OK;
}
