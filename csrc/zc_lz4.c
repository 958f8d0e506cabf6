#include "zc_lz4.h"

#include <limits.h>

/* The functions that reuse a compression state without clearing it are only declared for static linking. */
#define LZ4_STATIC_LINKING_ONLY
#define LZ4_HC_STATIC_LINKING_ONLY
#include <lz4.h>
#include <lz4hc.h>

#include "zc_compressor.h"

#define LENGTH_NBYTES 4

/* No LZ4 sequence gives more than 255 bytes for each of its own, so a claim above that is a lie. */
#define MAX_RATIO 255

static void free_stream(void *context)
{
	LZ4_freeStream(context);
}

static void free_stream_hc(void *context)
{
	LZ4_freeStreamHC(context);
}

static LZ4_stream_t *worker_stream(zc_worker *worker)
{
	void *context = worker->context[ZC_CONTEXT_LZ4];

	if (context == NULL)
		context = zc_context_keep(worker, ZC_CONTEXT_LZ4, LZ4_createStream(), 0, free_stream);
	return context;
}

static LZ4_streamHC_t *worker_stream_hc(zc_worker *worker)
{
	void *context = worker->context[ZC_CONTEXT_LZ4HC];

	if (context == NULL)
		context = zc_context_keep(worker, ZC_CONTEXT_LZ4HC, LZ4_createStreamHC(), 0, free_stream_hc);
	return context;
}

static int clamp_to_int(size_t nbytes)
{
	return nbytes > INT_MAX ? INT_MAX : (int)nbytes;
}

static zc_status block_result(int result, size_t *dst_nbytes)
{
	if (result <= 0)
		return ZC_ETOOLARGE;
	*dst_nbytes = (size_t)result;
	return ZC_OK;
}

zc_status zc_lz4_block_encode(zc_worker *worker, int acceleration, const uint8_t *src, size_t src_nbytes,
			      uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes)
{
	LZ4_stream_t *stream = worker_stream(worker);

	if (stream == NULL)
		return ZC_ENOMEM;
	if (src_nbytes > LZ4_MAX_INPUT_SIZE)
		return ZC_ELIMIT;
	return block_result(LZ4_compress_fast_extState_fastReset(stream, (const char *)zc_src_or_empty(src),
								 (char *)dst, (int)src_nbytes,
								 clamp_to_int(dst_capacity), acceleration),
			    dst_nbytes);
}

zc_status zc_lz4hc_block_encode(zc_worker *worker, int level, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
				size_t dst_capacity, size_t *dst_nbytes)
{
	LZ4_streamHC_t *stream = worker_stream_hc(worker);

	if (stream == NULL)
		return ZC_ENOMEM;
	if (src_nbytes > LZ4_MAX_INPUT_SIZE)
		return ZC_ELIMIT;
	return block_result(LZ4_compress_HC_extStateHC_fastReset(stream, (const char *)zc_src_or_empty(src),
								 (char *)dst, (int)src_nbytes,
								 clamp_to_int(dst_capacity), level),
			    dst_nbytes);
}

zc_status zc_lz4_block_decode(zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst, size_t nbytes)
{
	uint8_t none[1];
	int result;

	if (src_nbytes > INT_MAX || nbytes > INT_MAX || nbytes / MAX_RATIO > src_nbytes)
		return zc_fail(worker, ZC_ECORRUPT, "the LZ4 block cannot decode to the length in front of it");
	result = LZ4_decompress_safe((const char *)zc_src_or_empty(src), (char *)(dst != NULL ? dst : none),
				     (int)src_nbytes, (int)nbytes);
	/* LZ4 stops wherever its input or output ends: a cut block and a damaged one look alike. */
	if (result < 0 || (size_t)result != nbytes)
		return zc_fail(worker, ZC_ECORRUPT, "the LZ4 block is damaged or cut");
	return ZC_OK;
}

/* The rest of a length whose first four bits were all ones; 0 if the input ends in it. */
static int read_length(const uint8_t **in, const uint8_t *in_end, size_t *length)
{
	uint8_t byte;

	do {
		if (*in == in_end)
			return 0;
		byte = *(*in)++;
		*length += byte;	/* at most 255 for each byte of input: no overflow */
	} while (byte == 255);
	return 1;
}

/* Copy 'length' bytes from 'offset' bytes before; may write ZC_LZ4_FRONT_SLACK bytes more. */
static void copy_match(uint8_t *out, size_t offset, size_t length)
{
	uint8_t *out_end = out + length;

	if (offset == 1) {
		memset(out, out[-1], length);
		return;
	}
	if (offset < 16) {
		/* What repeats with a period repeats with its multiples: from here on copies of 16 bytes do not overlap. */
		for (size_t i = 0; i < 16; i++)
			out[i] = out[i - offset];
		out += 16;
		offset *= (15 + offset) / offset;
	}
	/* Long ones in copies that grow with what is there. */
	while (out_end - out > 256 && offset < (size_t)(out_end - out)) {
		memcpy(out, out - offset, offset);
		out += offset;
		offset *= 2;
	}
	for (; out < out_end; out += 16)
		memcpy(out, out - offset, 16);
}

/*
 * The first 'nbytes' bytes of a block, into room for ZC_LZ4_FRONT_SLACK more; *is_all_ret says whether the block ends with
 * them, as a whole one does, by literals.  0 if the block is damaged or cut.
 */
static int decode_front(const uint8_t *src, size_t src_nbytes, uint8_t *dst, size_t nbytes, int *is_all_ret)
{
	const uint8_t *in = src, *in_end = src + src_nbytes;
	uint8_t *out = dst, *out_end = dst + nbytes;

	*is_all_ret = 0;
	while (out < out_end && in < in_end) {
		unsigned token = *in++;
		size_t length = token >> 4, offset;

		if (length < 15 && in_end - in >= 16) {
			memcpy(out, in, 16);
		} else {
			if (length == 15 && !read_length(&in, in_end, &length))
				return 0;
			if (length > (size_t)(in_end - in))
				return 0;
			memcpy(out, in, length < (size_t)(out_end - out) ? length : (size_t)(out_end - out));
			*is_all_ret = length == (size_t)(out_end - out) && length == (size_t)(in_end - in);
		}
		if (length >= (size_t)(out_end - out))
			return 1;
		in += length;
		out += length;
		if (in_end - in < 2)
			return 0;
		offset = (size_t)in[0] | (size_t)in[1] << 8;
		in += 2;
		length = token & 15;
		if (length == 15 && !read_length(&in, in_end, &length))
			return 0;
		length += 4;
		if (offset == 0 || offset > (size_t)(out - dst))
			return 0;
		if (length <= 18 && offset >= 8) {
			memcpy(out, out - offset, 8);
			memcpy(out + 8, out + 8 - offset, 8);
			memcpy(out + 16, out + 16 - offset, 2);
		} else {
			copy_match(out, offset, length < (size_t)(out_end - out) ? length : (size_t)(out_end - out));
		}
		out = length < (size_t)(out_end - out) ? out + length : out_end;
	}
	return out == out_end;
}

/* LZ4_decompress_safe_partial copies a match that leaves the wanted part byte by byte: of equal bytes, all of it. */
zc_status zc_lz4_block_decode_front(zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
				    size_t nbytes)
{
	int is_all;

	if (!decode_front(src, src_nbytes, dst, nbytes, &is_all))
		return zc_fail(worker, ZC_ECORRUPT, "the LZ4 block is damaged or cut");
	return ZC_OK;
}

zc_status zc_lz4_block_decode_roomy(zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
				    size_t nbytes)
{
	int is_all;

	/* Runs of equal bytes, as the high bytes of smooth numbers are: LZ4 writes eight bytes at a time, memset 32. */
	if (src_nbytes > nbytes / 64)
		return zc_lz4_block_decode(worker, src, src_nbytes, dst, nbytes);
	if (!decode_front(src, src_nbytes, dst, nbytes, &is_all) || !is_all)
		return zc_fail(worker, ZC_ECORRUPT, "the LZ4 block is damaged or cut");
	return ZC_OK;
}

zc_status zc_lz4_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			size_t dst_capacity, size_t *dst_nbytes)
{
	const struct zc_lz4_config *lz4 = config;
	zc_status status;

	if (src_nbytes > LZ4_MAX_INPUT_SIZE)
		return ZC_ELIMIT;
	if (dst_capacity < LENGTH_NBYTES)
		return ZC_ETOOLARGE;
	zc_store_le32(dst, (uint32_t)src_nbytes);
	status = zc_lz4_block_encode(worker, lz4->acceleration, src, src_nbytes, dst + LENGTH_NBYTES,
				     dst_capacity - LENGTH_NBYTES, dst_nbytes);
	if (status == ZC_OK)
		*dst_nbytes += LENGTH_NBYTES;
	return status;
}

zc_status zc_lz4_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			size_t dst_capacity, size_t *dst_nbytes)
{
	size_t claimed;

	(void)config;
	/* The empty block has one byte, so nothing shorter than five is a stream. */
	if (src_nbytes < LENGTH_NBYTES + 1)
		return zc_fail(worker, ZC_ETRUNCATED, "the LZ4 block is cut");
	claimed = zc_load_le32(src);
	if (claimed > LZ4_MAX_INPUT_SIZE)
		return zc_fail(worker, ZC_ECORRUPT, "the length in front of the LZ4 block");
	if (claimed > dst_capacity)
		return zc_fail(worker, ZC_ETOOLARGE, "the length in front of the LZ4 block");
	*dst_nbytes = claimed;
	return zc_lz4_block_decode(worker, src + LENGTH_NBYTES, src_nbytes - LENGTH_NBYTES, dst, claimed);
}

zc_status zc_lz4_range(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, size_t nbytes,
		       size_t first, size_t end, const uint8_t **data_ret)
{
	size_t dst_nbytes, wanted = end > nbytes - nbytes / 4 ? nbytes : end;
	uint8_t *dst;
	zc_status status;

	if (src_nbytes >= LENGTH_NBYTES + 1 && zc_load_le32(src) != nbytes)
		return zc_fail(worker, ZC_ELENGTH, "the length in front of the LZ4 block");
	dst = zc_worker_scratch(worker, ZC_SCRATCH_CODEC2, wanted + ZC_LZ4_FRONT_SLACK);
	if (dst == NULL)
		return ZC_ENOMEM;
	*data_ret = dst + first;
	if (wanted == nbytes || src_nbytes < LENGTH_NBYTES + 1)
		status = zc_lz4_decode(config, worker, src, src_nbytes, dst, wanted, &dst_nbytes);
	else
		status = zc_lz4_block_decode_front(worker, src + LENGTH_NBYTES, src_nbytes - LENGTH_NBYTES, dst, end);
	return status;
}

zc_status zc_lz4_bound(const void *config, size_t nbytes, size_t *bound_ret)
{
	(void)config;
	if (nbytes > LZ4_MAX_INPUT_SIZE)
		return ZC_ELIMIT;
	*bound_ret = LENGTH_NBYTES + (size_t)LZ4_compressBound((int)nbytes);
	return ZC_OK;
}
