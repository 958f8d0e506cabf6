#include "zc_blosc.h"
#include "zc_blosc_shuffle.h"
#include "zc_blosc_stream.h"
#include "zc_compressor.h"

#define MIN_BLOCKSIZE ((size_t)128)	/* c-blosc 1 takes none smaller when one is asked for */

/* A chunk in the making. */
struct chunk {
	const struct zc_blosc_config *config;
	struct zc_blosc_header header;
	zc_worker *worker;
	uint8_t *dst;
	size_t limit;	/* the chunk is stored as it is unless it stays below this */
	size_t used;
};

static enum zc_blosc_format format_of(enum zc_blosc_compressor compressor)
{
	switch (compressor) {
	case ZC_BLOSC_WITH_LZ4:
	case ZC_BLOSC_WITH_LZ4HC:
		return ZC_BLOSC_LZ4;
	case ZC_BLOSC_WITH_SNAPPY:
		return ZC_BLOSC_SNAPPY;
	case ZC_BLOSC_WITH_ZLIB:
		return ZC_BLOSC_ZLIB;
	case ZC_BLOSC_WITH_ZSTD:
		return ZC_BLOSC_ZSTD;
	default:
		return ZC_BLOSC_BLOSCLZ;
	}
}

static int is_dense(enum zc_blosc_compressor compressor)
{
	return compressor == ZC_BLOSC_WITH_LZ4HC || compressor == ZC_BLOSC_WITH_ZLIB ||
	       compressor == ZC_BLOSC_WITH_ZSTD;
}

/* zstd sees across the byte planes by itself; the others gain from a stream for each (and old readers expect it). */
static int splits(const struct zc_blosc_config *config)
{
	return config->compressor != ZC_BLOSC_WITH_ZSTD && config->typesize <= ZC_BLOSC_MAX_SPLITS;
}

/* What a stream should hold: fast compressors stay inside the second-level cache, dense ones need a longer view. */
static size_t automatic_blocksize(const struct zc_blosc_config *config)
{
	static const size_t stream_kib[10] = {32, 16, 32, 64, 128, 128, 256, 256, 256, 256};
	size_t stream_nbytes = stream_kib[config->clevel] << 10;

	if (is_dense(config->compressor))
		stream_nbytes *= config->clevel == 9 ? 4 : 2;
	if (!splits(config))
		return stream_nbytes;
	stream_nbytes *= (size_t)config->typesize;
	if (stream_nbytes < (size_t)64 << 10)
		return (size_t)64 << 10;
	return stream_nbytes < (size_t)1 << 20 ? stream_nbytes : (size_t)1 << 20;
}

/* Whole elements, and for bitshuffle eights of them, so that only a short last block is left unfiltered. */
static size_t round_blocksize(const struct zc_blosc_config *config, size_t blocksize)
{
	size_t unit = (size_t)config->typesize;

	if (config->shuffle == ZC_BLOSC_BITSHUFFLE && blocksize >= 8 * unit)
		unit *= 8;
	return blocksize > unit ? blocksize - blocksize % unit : blocksize;
}

static size_t choose_blocksize(const struct zc_blosc_config *config, size_t nbytes)
{
	size_t blocksize = config->blocksize;

	if (nbytes < (size_t)config->typesize)
		return 1;	/* as c-blosc 1: nothing to compress */
	if (blocksize == 0)
		blocksize = automatic_blocksize(config);
	else if (blocksize < MIN_BLOCKSIZE)
		blocksize = MIN_BLOCKSIZE;
	return round_blocksize(config, blocksize < nbytes ? blocksize : nbytes);
}

static void make_header(const struct zc_blosc_config *config, size_t nbytes, struct zc_blosc_header *header)
{
	static const unsigned filter_flags[3] = {0, ZC_BLOSC_SHUFFLED, ZC_BLOSC_BITSHUFFLED};

	header->format = format_of(config->compressor);
	header->typesize = (size_t)config->typesize;
	header->nbytes = nbytes;
	header->blocksize = choose_blocksize(config, nbytes);
	header->n_blocks = (nbytes + header->blocksize - 1) / header->blocksize;
	header->flags = filter_flags[config->shuffle];
	if (!splits(config) || header->blocksize / header->typesize < ZC_BLOSC_MIN_SPLIT_NBYTES)
		header->flags |= ZC_BLOSC_NOT_SPLIT;
}

/* Add one stream; ZC_ETOOLARGE when the chunk has become too long to be worth it. */
static zc_status encode_stream(struct chunk *chunk, const uint8_t *src, size_t nbytes)
{
	uint8_t *dst = chunk->dst + chunk->used + 4;
	size_t room, stream_nbytes;
	zc_status status;

	if (chunk->limit - chunk->used <= 4)
		return ZC_ETOOLARGE;
	room = chunk->limit - chunk->used - 4;
	status = zc_blosc_stream_encode(chunk->config, chunk->worker, src, nbytes, dst, room, &stream_nbytes);
	if (status != ZC_OK && status != ZC_ETOOLARGE)
		return status;
	if (status == ZC_ETOOLARGE || stream_nbytes >= nbytes) {
		if (nbytes > room)
			return ZC_ETOOLARGE;
		memcpy(dst, src, nbytes);
		stream_nbytes = nbytes;
	}
	zc_store_le32(dst - 4, (uint32_t)stream_nbytes);
	chunk->used += 4 + stream_nbytes;
	return ZC_OK;
}

static zc_status encode_block(struct chunk *chunk, const uint8_t *src, size_t nbytes)
{
	size_t n_streams = zc_blosc_n_streams(&chunk->header, nbytes);
	size_t part_nbytes = nbytes / n_streams;
	zc_status status;

	if (zc_blosc_filters(&chunk->header, nbytes)) {
		uint8_t *filtered = zc_worker_scratch(chunk->worker, ZC_SCRATCH_CODEC0, nbytes);

		if (filtered == NULL)
			return ZC_ENOMEM;
		status = zc_blosc_filter(&chunk->header, src, filtered, nbytes);
		if (status != ZC_OK)
			return status;
		src = filtered;
	}
	for (size_t part = 0; part < n_streams; part++) {
		status = encode_stream(chunk, src + part * part_nbytes, part_nbytes);
		if (status != ZC_OK)
			return status;
	}
	return ZC_OK;
}

static zc_status encode_blocks(struct chunk *chunk, const uint8_t *src)
{
	const struct zc_blosc_header *header = &chunk->header;

	chunk->used = ZC_BLOSC_HEADER_NBYTES + 4 * header->n_blocks;
	if (chunk->used >= chunk->limit)
		return ZC_ETOOLARGE;
	for (size_t i = 0; i < header->n_blocks; i++) {
		zc_status status;

		zc_store_le32(chunk->dst + ZC_BLOSC_HEADER_NBYTES + 4 * i, (uint32_t)chunk->used);
		status = encode_block(chunk, src + i * header->blocksize, zc_blosc_block_nbytes(header, i));
		if (status != ZC_OK)
			return status;
	}
	return ZC_OK;
}

static void store(struct chunk *chunk, const uint8_t *src)
{
	chunk->header.flags |= ZC_BLOSC_STORED;
	chunk->used = ZC_BLOSC_HEADER_NBYTES + chunk->header.nbytes;
	if (chunk->header.nbytes > 0)
		memcpy(chunk->dst + ZC_BLOSC_HEADER_NBYTES, src, chunk->header.nbytes);
}

zc_status zc_blosc_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			  size_t dst_capacity, size_t *dst_nbytes)
{
	struct chunk chunk = {.config = config, .worker = worker, .dst = dst};
	zc_status status = ZC_ETOOLARGE;

	if (src_nbytes > ZC_BLOSC_MAX_NBYTES)
		return ZC_ELIMIT;
	chunk.limit = src_nbytes + ZC_BLOSC_HEADER_NBYTES;
	if (dst_capacity < chunk.limit)
		return ZC_ETOOLARGE;
	make_header(config, src_nbytes, &chunk.header);
	if (chunk.config->clevel > 0)
		status = encode_blocks(&chunk, src);
	if (status == ZC_ETOOLARGE) {
		store(&chunk, src);
		status = ZC_OK;
	}
	chunk.header.cbytes = chunk.used;
	zc_blosc_write_header(&chunk.header, dst);
	*dst_nbytes = chunk.used;
	return status;
}

zc_status zc_blosc_bound(const void *config, size_t nbytes, size_t *bound_ret)
{
	(void)config;
	if (nbytes > ZC_BLOSC_MAX_NBYTES)
		return ZC_ELIMIT;
	*bound_ret = nbytes + ZC_BLOSC_HEADER_NBYTES;
	return ZC_OK;
}
