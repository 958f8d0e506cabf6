/*
 * A block is the decoded length (base-128 varint, below 2^32), then elements.  The low two bits of an element's
 * first byte say what it is:
 *   00  literal    length-1 in the high six bits; 60..63 there: in the 1..4 bytes that follow, little-endian
 *   01  copy       length-4 in bits 2-4, offset in bits 5-7 (its high bits) and the next byte
 *   10  copy       length-1 in the high six bits, offset in the next two bytes, little-endian
 *   11  copy       the same with four bytes
 * A copy repeats 'length' bytes from 'offset' bytes back in the output; it may overlap what it writes.
 */
#include "zc_snappy.h"

#include "zc_compressor.h"

/* Each fragment is matched on its own, so that an offset always fits in two bytes. */
#define FRAGMENT_NBYTES ((size_t)1 << 16)
#define HASH_BITS 14
#define MIN_MATCH 4
/* Matches are not looked for in the last bytes, so that the matcher may load eight bytes at once. */
#define MARGIN 16
#define MAX_LENGTH_NBYTES 5
#define MAX_COPY 64

/* No element gives more than 64 bytes for three of its own (rounded up): a claim above that is a lie. */
#define MAX_RATIO 22

#define LITERAL 0
#define COPY_1 1
#define COPY_2 2

/* ---- decode ---- */

struct reader {
	const uint8_t *src;
	const uint8_t *src_end;
	uint8_t *dst_begin;
	uint8_t *dst;
	uint8_t *dst_end;
};

static zc_status read_length(zc_worker *worker, struct reader *r, size_t *length_ret)
{
	uint64_t length = 0;

	for (unsigned shift = 0; shift < 7 * MAX_LENGTH_NBYTES; shift += 7) {
		unsigned byte;

		if (r->src == r->src_end)
			return zc_fail(worker, ZC_ETRUNCATED, "the Snappy block is cut");
		byte = *r->src++;
		length |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			if (length > UINT32_MAX)
				break;
			*length_ret = (size_t)length;
			return ZC_OK;
		}
	}
	return zc_fail(worker, ZC_ECORRUPT, "the length in front of the Snappy block");
}

/* The 'n' (1..4) bytes at the reader as a little-endian number; 0 if they are not there. */
static int read_number(struct reader *r, size_t n, size_t *number_ret)
{
	size_t number = 0;

	if ((size_t)(r->src_end - r->src) < n)
		return 0;
	for (size_t i = 0; i < n; i++)
		number |= (size_t)r->src[i] << (8 * i);
	r->src += n;
	*number_ret = number;
	return 1;
}

static zc_status read_literal(zc_worker *worker, struct reader *r, unsigned tag)
{
	size_t length = tag >> 2;

	/* The common short literal: one fixed-size copy where both sides have room for it. */
	if (length < 16 && r->src_end - r->src >= 16 && r->dst_end - r->dst >= 16) {
		memcpy(r->dst, r->src, 16);
		r->src += length + 1;
		r->dst += length + 1;
		return ZC_OK;
	}
	if (length >= 60 && !read_number(r, length - 59, &length))
		return zc_fail(worker, ZC_ETRUNCATED, "the Snappy block is cut");
	length += 1;
	if ((size_t)(r->src_end - r->src) < length)
		return zc_fail(worker, ZC_ETRUNCATED, "the Snappy block is cut");
	if ((size_t)(r->dst_end - r->dst) < length)
		return zc_fail(worker, ZC_ECORRUPT, "a Snappy literal goes past the block's length");
	memcpy(r->dst, r->src, length);
	r->src += length;
	r->dst += length;
	return ZC_OK;
}

static zc_status copy_back(zc_worker *worker, struct reader *r, size_t offset, size_t length)
{
	const uint8_t *from;
	uint8_t *to = r->dst;

	if (offset == 0 || offset > (size_t)(to - r->dst_begin))
		return zc_fail(worker, ZC_ECORRUPT, "a Snappy copy from before the block");
	if (length > (size_t)(r->dst_end - to))
		return zc_fail(worker, ZC_ECORRUPT, "a Snappy copy goes past the block's length");
	from = to - offset;
	r->dst = to + length;
	if (offset >= 16 && (size_t)(r->dst_end - to) >= MAX_COPY) {
		/* length <= MAX_COPY, so at most MAX_COPY bytes are written. */
		for (size_t done = 0; done < length; done += 16)
			memcpy(to + done, from + done, 16);
		return ZC_OK;
	}
	for (size_t i = 0; i < length; i++)
		to[i] = from[i];
	return ZC_OK;
}

static zc_status read_copy(zc_worker *worker, struct reader *r, unsigned tag)
{
	size_t length = (tag >> 2) + 1;
	size_t offset;

	if ((tag & 3) == COPY_1) {
		if (!read_number(r, 1, &offset))
			return zc_fail(worker, ZC_ETRUNCATED, "the Snappy block is cut");
		offset |= (size_t)(tag >> 5) << 8;
		length = ((tag >> 2) & 7) + MIN_MATCH;
	} else if (!read_number(r, (tag & 3) == COPY_2 ? 2 : 4, &offset)) {
		return zc_fail(worker, ZC_ETRUNCATED, "the Snappy block is cut");
	}
	return copy_back(worker, r, offset, length);
}

zc_status zc_snappy_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			   size_t dst_capacity, size_t *dst_nbytes)
{
	struct reader r = {.src = zc_src_or_empty(src)};
	uint8_t none[1];
	size_t nbytes;
	zc_status status;

	(void)config;
	r.src_end = r.src + src_nbytes;
	status = read_length(worker, &r, &nbytes);
	if (status != ZC_OK)
		return status;
	if (nbytes > dst_capacity)
		return zc_fail(worker, ZC_ETOOLARGE, "the length in front of the Snappy block");
	if (nbytes / MAX_RATIO > src_nbytes)
		return zc_fail(worker, ZC_ECORRUPT, "the Snappy block cannot decode to the length in front of it");
	r.dst = r.dst_begin = dst != NULL ? dst : none;
	r.dst_end = r.dst + nbytes;
	while (r.src != r.src_end && status == ZC_OK) {
		unsigned tag = *r.src++;

		status = (tag & 3) == LITERAL ? read_literal(worker, &r, tag) : read_copy(worker, &r, tag);
	}
	if (status == ZC_OK && r.dst != r.dst_end)
		return zc_fail(worker, ZC_ETRUNCATED, "the Snappy block is cut");
	*dst_nbytes = nbytes;
	return status;
}

/* ---- encode ---- */

struct writer {
	uint8_t *dst;
	uint8_t *dst_end;
};

/* Which input position, counted from the fragment's start, last had the four bytes that hash to an entry. */
typedef uint16_t hash_table[1 << HASH_BITS];

static uint32_t load_32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint64_t load_64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* Fibonacci hashing: 2^32 divided by the golden ratio, made odd. */
static uint32_t hash_of(uint32_t bytes)
{
	return (bytes * 2654435769u) >> (32 - HASH_BITS);
}

static int write_length(struct writer *w, size_t length)
{
	if ((size_t)(w->dst_end - w->dst) < MAX_LENGTH_NBYTES)
		return 0;
	for (; length >= 0x80; length >>= 7)
		*w->dst++ = (uint8_t)(length | 0x80);
	*w->dst++ = (uint8_t)length;
	return 1;
}

/* 'length' is 1..FRAGMENT_NBYTES. */
static int write_literal(struct writer *w, const uint8_t *src, size_t length)
{
	size_t n = length - 1;

	if ((size_t)(w->dst_end - w->dst) < length + 3)
		return 0;
	if (n < 60) {
		*w->dst++ = (uint8_t)(n << 2 | LITERAL);
	} else if (n < 256) {
		*w->dst++ = 60 << 2 | LITERAL;
		*w->dst++ = (uint8_t)n;
	} else {
		*w->dst++ = 61 << 2 | LITERAL;
		*w->dst++ = (uint8_t)n;
		*w->dst++ = (uint8_t)(n >> 8);
	}
	memcpy(w->dst, src, length);
	w->dst += length;
	return 1;
}

/* 'offset' is 1..65535, 'length' at least MIN_MATCH. */
static int write_copy(struct writer *w, size_t offset, size_t length)
{
	while (length > 0) {
		size_t part = length > MAX_COPY ? MAX_COPY : length;

		if (w->dst_end - w->dst < 3)
			return 0;
		if (part >= MIN_MATCH && part < 12 && offset < 2048) {
			*w->dst++ = (uint8_t)(offset >> 8 << 5 | (part - MIN_MATCH) << 2 | COPY_1);
			*w->dst++ = (uint8_t)offset;
		} else {
			*w->dst++ = (uint8_t)((part - 1) << 2 | COPY_2);
			*w->dst++ = (uint8_t)offset;
			*w->dst++ = (uint8_t)(offset >> 8);
		}
		length -= part;
	}
	return 1;
}

/* How many bytes at 'a' (earlier) and 'b' are equal; 'b' stops at 'end'. */
static size_t match_length(const uint8_t *a, const uint8_t *b, const uint8_t *end)
{
	const uint8_t *begin = b;

	while (end - b >= 8 && load_64(a) == load_64(b)) {
		a += 8;
		b += 8;
	}
	while (b < end && *a == *b) {
		a++;
		b++;
	}
	return (size_t)(b - begin);
}

/* Greedy: take the last place with the same four bytes; step faster the longer nothing is found. */
static int encode_fragment(struct writer *w, uint16_t *table, const uint8_t *src, size_t nbytes)
{
	const uint8_t *end = src + nbytes;
	const uint8_t *literal = src;
	const uint8_t *at = src + 1;
	unsigned misses = 32;

	memset(table, 0, sizeof(hash_table));
	while (nbytes > MARGIN && at < end - MARGIN) {
		uint16_t *entry = &table[hash_of(load_32(at))];
		const uint8_t *candidate = src + *entry;
		size_t length;

		*entry = (uint16_t)(at - src);
		if (load_32(candidate) != load_32(at)) {
			at += misses++ >> 5;
			continue;
		}
		length = MIN_MATCH + match_length(candidate + MIN_MATCH, at + MIN_MATCH, end);
		if (at > literal && !write_literal(w, literal, (size_t)(at - literal)))
			return 0;
		if (!write_copy(w, (size_t)(at - candidate), length))
			return 0;
		at += length;
		literal = at;
		misses = 32;
	}
	return literal == end || write_literal(w, literal, (size_t)(end - literal));
}

zc_status zc_snappy_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes, uint8_t *dst,
			   size_t dst_capacity, size_t *dst_nbytes)
{
	struct writer w = {dst, dst + dst_capacity};
	uint16_t *table = (uint16_t *)(void *)zc_worker_scratch(worker, ZC_SCRATCH_CODEC1, sizeof(hash_table));

	(void)config;
	if (table == NULL)
		return ZC_ENOMEM;
	if (src_nbytes > UINT32_MAX)
		return ZC_ELIMIT;
	if (!write_length(&w, src_nbytes))
		return ZC_ETOOLARGE;
	for (size_t start = 0; start < src_nbytes; start += FRAGMENT_NBYTES) {
		size_t left = src_nbytes - start;

		if (!encode_fragment(&w, table, src + start, left < FRAGMENT_NBYTES ? left : FRAGMENT_NBYTES))
			return ZC_ETOOLARGE;
	}
	*dst_nbytes = (size_t)(w.dst - dst);
	return ZC_OK;
}

/* A literal costs up to 3 bytes more and only follows a copy, which is never longer than what it replaces. */
zc_status zc_snappy_bound(const void *config, size_t nbytes, size_t *bound_ret)
{
	(void)config;
	if (nbytes > UINT32_MAX)
		return ZC_ELIMIT;
	*bound_ret = nbytes + nbytes / 6 + 32;
	return ZC_OK;
}
