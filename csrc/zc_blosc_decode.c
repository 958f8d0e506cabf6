#include "zc_blosc.h"
#include "zc_blosc_shuffle.h"
#include "zc_blosc_stream.h"
#include "zc_compressor.h"
#include "zc_lz4.h"

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

/* A block and the part of it that is wanted. */
struct part {
	size_t index;		/* of the block */
	size_t nbytes;		/* of the block, decoded */
	size_t from, to;	/* the part */
	size_t n_streams;
	size_t stream_nbytes;	/* decoded, of each stream */
	size_t offset;		/* of the next stream in the chunk */
};

/* Streams that are only decoded in front are less of their length than this, in sixteenths: LZ4's own decoder is faster. */
#define FRONT_SIXTEENTHS 14

static zc_status open_part(const struct chunk *chunk, size_t index, size_t from, size_t to, struct part *part)
{
	const struct zc_blosc_header *header = &chunk->header;
	size_t offset = zc_load_le32(chunk->src + ZC_BLOSC_HEADER_NBYTES + 4 * index);

	part->index = index;
	part->nbytes = zc_blosc_block_nbytes(header, index);
	part->from = from;
	part->to = to;
	part->n_streams = zc_blosc_n_streams(header, part->nbytes);
	part->stream_nbytes = part->nbytes / part->n_streams;
	part->offset = offset;
	if (offset < ZC_BLOSC_HEADER_NBYTES + 4 * header->n_blocks || offset > header->cbytes)
		return zc_fail(chunk->worker, ZC_ECORRUPT, "a block starts outside the Blosc chunk");
	if (part->stream_nbytes * part->n_streams != part->nbytes)
		return zc_fail(chunk->worker, ZC_ECORRUPT, "the blocksize does not fit the typesize in the Blosc header");
	return ZC_OK;
}

/*
 * The next stream's content, of which the first 'front' bytes are wanted: at *data_ret, which is in the chunk where the
 * stream is kept as it is, else 'room'.  That has 'front' bytes, and ZC_LZ4_FRONT_SLACK more if it is roomy, as it must be
 * for less than the whole stream.
 */
static zc_status decode_stream(const struct chunk *chunk, struct part *part, size_t front, uint8_t *room, int roomy,
			       const uint8_t **data_ret)
{
	enum zc_blosc_format format = chunk->header.format;
	size_t nbytes = part->stream_nbytes, stream_nbytes;
	zc_status status = next_stream(chunk, &part->offset, &stream_nbytes);
	const uint8_t *stream = chunk->src + part->offset;

	if (status != ZC_OK)
		return status;
	part->offset += stream_nbytes;
	*data_ret = room;
	if (stream_nbytes == nbytes)	/* as long as its content: kept as it is */
		*data_ret = stream;
	else if (front == nbytes && roomy && format == ZC_BLOSC_LZ4)
		return zc_lz4_block_decode_roomy(chunk->worker, stream, stream_nbytes, room, nbytes);
	else if (front == nbytes)
		return zc_blosc_stream_decode(format, chunk->worker, stream, stream_nbytes, room, nbytes);
	else if (front > 0)
		return zc_lz4_block_decode_front(chunk->worker, stream, stream_nbytes, room, front);
	return ZC_OK;
}

/* How much of a stream to decode for the sake of its first 'wanted' bytes. */
static size_t front_of(const struct chunk *chunk, const struct part *part, size_t wanted)
{
	int whole = wanted > part->stream_nbytes / 16 * FRONT_SIXTEENTHS;

	return whole || chunk->header.format != ZC_BLOSC_LZ4 ? part->stream_nbytes : wanted;
}

/* What a stream of which 'front' bytes are decoded needs, rounded so that each starts at a cache line. */
static size_t room_of(size_t front)
{
	return (front + ZC_LZ4_FRONT_SLACK + 63) & ~(size_t)63;
}

/* A block without filter: its streams one after the other are its content. */
static zc_status decode_plain(const struct chunk *chunk, struct part *part, uint8_t *dst)
{
	size_t nbytes = part->stream_nbytes;

	for (size_t i = 0; i * nbytes < part->to; i++) {
		size_t start = i * nbytes;
		size_t from = part->from > start ? part->from - start : 0;
		size_t to = part->to - start < nbytes ? part->to - start : nbytes;
		size_t front = to <= from ? 0 : front_of(chunk, part, to);
		uint8_t *room = dst;
		const uint8_t *data;
		zc_status status;

		if (from > 0 || to < nbytes) {
			room = zc_worker_scratch(chunk->worker, ZC_SCRATCH_CODEC0, room_of(front));
			if (room == NULL)
				return ZC_ENOMEM;
		}
		status = decode_stream(chunk, part, front, room, room != dst, &data);
		if (status != ZC_OK)
			return status;
		if (to <= from)
			continue;
		if (data != dst)
			memcpy(dst, data + from, to - from);
		dst += to - from;
	}
	return ZC_OK;
}

/*
 * Decode the streams of a filtered block so far that of each plane 'wanted' bytes are there, and what is left over after
 * the last whole element if the part has it.  *tail_ret is where that is.
 */
static zc_status decode_planes(const struct chunk *chunk, struct part *part, size_t wanted,
			       struct zc_blosc_planes *planes, const uint8_t **tail_ret)
{
	size_t typesize = chunk->header.typesize, n_elements = part->nbytes / typesize;
	size_t front = wanted, room_nbytes;
	uint8_t *room;

	planes->typesize = typesize;
	planes->n_elements = n_elements;
	if (part->n_streams == 1)
		front = part->to > n_elements * typesize ? part->nbytes : (typesize - 1) * n_elements + wanted;
	front = front_of(chunk, part, front);
	room_nbytes = room_of(front);
	room = zc_worker_scratch(chunk->worker, ZC_SCRATCH_CODEC0, room_nbytes * part->n_streams);
	if (room == NULL)
		return ZC_ENOMEM;
	for (size_t i = 0; i < part->n_streams; i++) {
		zc_status status = decode_stream(chunk, part, front, room + i * room_nbytes, 1, &planes->plane[i]);

		if (status != ZC_OK)
			return status;
	}
	if (part->n_streams == 1)
		for (size_t j = 1; j < typesize; j++)
			planes->plane[j] = planes->plane[0] + j * n_elements;
	*tail_ret = part->n_streams == 1 ? planes->plane[0] + typesize * n_elements : NULL;
	return ZC_OK;
}

static zc_status decode_filtered(const struct chunk *chunk, struct part *part, uint8_t *dst)
{
	struct zc_blosc_planes planes;
	size_t typesize = chunk->header.typesize, whole = part->nbytes / typesize * typesize;
	size_t from = part->from < whole ? part->from : whole, to = part->to < whole ? part->to : whole;
	int bits = (chunk->header.flags & ZC_BLOSC_BITSHUFFLED) != 0;
	/* Of bits, each plane has eight rows: the range's columns are wanted in the last one too. */
	size_t column = (to + 8 * typesize - 1) / (8 * typesize);
	size_t wanted = bits ? whole / typesize / 8 * 7 + column : (to + typesize - 1) / typesize;
	const uint8_t *tail = NULL;
	zc_status status = decode_planes(chunk, part, wanted, &planes, &tail);

	if (status != ZC_OK)
		return status;
	if (!bits)
		zc_blosc_unshuffle(&planes, from, to, dst);
	else
		status = zc_blosc_bitunshuffle(chunk->worker, &planes, from, to, dst);
	/* Blosc leaves what is less than an element as it is. */
	if (part->to > whole)
		memcpy(dst + (to - from), tail + ((part->from > whole ? part->from : whole) - whole),
		       part->to - (part->from > whole ? part->from : whole));
	return status;
}

static zc_status decode_part(const struct chunk *chunk, size_t index, size_t from, size_t to, uint8_t *dst)
{
	struct part part;
	zc_status status = open_part(chunk, index, from, to, &part);

	if (status != ZC_OK)
		return status;
	if (!zc_blosc_filters(&chunk->header, part.nbytes))
		return decode_plain(chunk, &part, dst);
	return decode_filtered(chunk, &part, dst);
}

/* The bytes [first, end) of a chunk that has blocks; first < end. */
static zc_status decode_range(const struct chunk *chunk, size_t first, size_t end, uint8_t *dst)
{
	size_t blocksize = chunk->header.blocksize;

	for (size_t at = first; at < end;) {
		size_t index = at / blocksize, start = index * blocksize;
		size_t to = end - start < blocksize ? end - start : blocksize;
		zc_status status = decode_part(chunk, index, at - start, to, dst + (at - first));

		if (status != ZC_OK)
			return status;
		at = start + to;
	}
	return ZC_OK;
}

zc_status zc_blosc_range(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, size_t nbytes,
			 size_t first, size_t end, const uint8_t **data_ret)
{
	struct chunk chunk = {.src = src, .worker = worker};
	zc_status status = zc_blosc_read_header(worker, src, src_nbytes, &chunk.header);
	uint8_t *dst;

	(void)config;
	if (status != ZC_OK)
		return status;
	if (chunk.header.nbytes != nbytes)
		return zc_fail(worker, ZC_ELENGTH, "length in the Blosc header");
	if (chunk.header.n_blocks == 0) {	/* stored, or empty */
		*data_ret = src + ZC_BLOSC_HEADER_NBYTES + first;
		return ZC_OK;
	}
	dst = zc_worker_scratch(worker, ZC_SCRATCH_CODEC2, end - first);
	if (dst == NULL)
		return ZC_ENOMEM;
	*data_ret = dst;
	return decode_range(&chunk, first, end, dst);
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
	if (chunk.header.n_blocks > 0)
		return decode_range(&chunk, 0, chunk.header.nbytes, dst);
	if (chunk.header.nbytes > 0)
		memcpy(dst, src + ZC_BLOSC_HEADER_NBYTES, chunk.header.nbytes);
	return ZC_OK;
}
