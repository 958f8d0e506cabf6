#include "zc_blosc.h"
#include "zc_blosc_shuffle.h"
#include "zc_blosc_stream.h"
#include "zc_compressor.h"

/* A chunk that passed zc_blosc_read_header. */
struct chunk {
	struct zc_blosc_header header;
	const uint8_t *src;
	zc_worker *worker;
};

/* Take the int32 in front of a stream off the chunk at *offset and check that the stream is inside. */
static zc_status next_stream(const struct chunk *chunk, size_t *offset, size_t *stream_nbytes)
{
	size_t cbytes = chunk->header.cbytes;
	uint32_t nbytes;

	if (cbytes - *offset < 4)
		return zc_fail(chunk->worker, ZC_ECORRUPT, "a stream leaves the Blosc chunk");
	nbytes = zc_load_le32(chunk->src + *offset);
	*offset += 4;
	if (nbytes == 0 || nbytes > cbytes - *offset)
		return zc_fail(chunk->worker, ZC_ECORRUPT, "a stream leaves the Blosc chunk");
	*stream_nbytes = nbytes;
	return ZC_OK;
}

/* Decode the stream at *offset into the 'nbytes' bytes at dst. */
static zc_status decode_stream(const struct chunk *chunk, size_t *offset, uint8_t *dst, size_t nbytes)
{
	size_t stream_nbytes;
	zc_status status = next_stream(chunk, offset, &stream_nbytes);

	if (status != ZC_OK)
		return status;
	if (stream_nbytes == nbytes)	/* as long as its content: kept as it is */
		memcpy(dst, chunk->src + *offset, nbytes);
	else
		status = zc_blosc_stream_decode(chunk->header.format, chunk->worker, chunk->src + *offset,
						stream_nbytes, dst, nbytes);
	*offset += stream_nbytes;
	return status;
}

/* Undo the compression of block 'i', not its filter. */
static zc_status decode_streams(const struct chunk *chunk, size_t i, uint8_t *dst, size_t nbytes)
{
	const struct zc_blosc_header *header = &chunk->header;
	size_t offset = zc_load_le32(chunk->src + ZC_BLOSC_HEADER_NBYTES + 4 * i);
	size_t n_streams = zc_blosc_n_streams(header, nbytes);
	size_t part_nbytes = nbytes / n_streams;

	if (offset < ZC_BLOSC_HEADER_NBYTES + 4 * header->n_blocks || offset > header->cbytes)
		return zc_fail(chunk->worker, ZC_ECORRUPT, "a block starts outside the Blosc chunk");
	if (part_nbytes * n_streams != nbytes)
		return zc_fail(chunk->worker, ZC_ECORRUPT, "the blocksize does not fit the typesize in the Blosc header");
	for (size_t part = 0; part < n_streams; part++) {
		zc_status status = decode_stream(chunk, &offset, dst + part * part_nbytes, part_nbytes);

		if (status != ZC_OK)
			return status;
	}
	return ZC_OK;
}

static zc_status decode_block(const struct chunk *chunk, size_t i, uint8_t *dst, size_t nbytes)
{
	uint8_t *filtered;
	zc_status status;

	if (!zc_blosc_filters(&chunk->header, nbytes))
		return decode_streams(chunk, i, dst, nbytes);
	filtered = zc_worker_scratch(chunk->worker, ZC_SCRATCH_CODEC0, nbytes);
	if (filtered == NULL)
		return ZC_ENOMEM;
	status = decode_streams(chunk, i, filtered, nbytes);
	return status == ZC_OK ? zc_blosc_unfilter(&chunk->header, filtered, dst, nbytes) : status;
}

/* The bytes [from, to) of block 'i'. */
static zc_status decode_part_of_block(const struct chunk *chunk, size_t i, size_t from, size_t to, uint8_t *dst)
{
	size_t nbytes = zc_blosc_block_nbytes(&chunk->header, i);
	uint8_t *block;
	zc_status status;

	if (from == 0 && to == nbytes)
		return decode_block(chunk, i, dst, nbytes);
	block = zc_worker_scratch(chunk->worker, ZC_SCRATCH_CODEC2, nbytes);
	if (block == NULL)
		return ZC_ENOMEM;
	status = decode_block(chunk, i, block, nbytes);
	if (status == ZC_OK)
		memcpy(dst, block + from, to - from);
	return status;
}

static zc_status decode_range(const struct chunk *chunk, size_t start, size_t stop, uint8_t *dst)
{
	size_t blocksize = chunk->header.blocksize;
	size_t at = start;

	if (start == stop)
		return ZC_OK;
	if (chunk->header.flags & ZC_BLOSC_STORED) {
		memcpy(dst, chunk->src + ZC_BLOSC_HEADER_NBYTES + start, stop - start);
		return ZC_OK;
	}
	while (at < stop) {
		size_t i = at / blocksize;
		size_t from = at - i * blocksize;
		size_t to = stop - i * blocksize < blocksize ? stop - i * blocksize : blocksize;
		zc_status status = decode_part_of_block(chunk, i, from, to, dst + (at - start));

		if (status != ZC_OK)
			return status;
		at += to - from;
	}
	return ZC_OK;
}

zc_status zc_blosc_decode_range(zc_worker *worker, const uint8_t *src, size_t src_nbytes, size_t start, size_t stop,
				uint8_t *dst)
{
	struct chunk chunk = {.src = src, .worker = worker};
	zc_status status = zc_blosc_read_header(worker, src, src_nbytes, &chunk.header);

	if (status != ZC_OK)
		return status;
	if (start > stop || stop > chunk.header.nbytes)
		return zc_fail(worker, ZC_EINVAL, "range outside the Blosc chunk");
	return decode_range(&chunk, start, stop, dst);
}

zc_status zc_blosc_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			  size_t dst_capacity, size_t *dst_nbytes)
{
	struct chunk chunk = {.src = src, .worker = worker};
	zc_status status = zc_blosc_read_header(worker, src, src_nbytes, &chunk.header);

	(void)config;
	if (status != ZC_OK)
		return status;
	if (chunk.header.nbytes > dst_capacity)
		return zc_fail(worker, ZC_ETOOLARGE, "length in the Blosc header");
	*dst_nbytes = chunk.header.nbytes;
	return decode_range(&chunk, 0, chunk.header.nbytes, dst);
}
