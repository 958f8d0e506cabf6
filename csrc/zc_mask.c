/*
 * zc_mask.c - a boolean mask as bits, with the rank of each block of 256 so that any row of a box begins where it should.
 */
#include "zc_mask.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "zc_item.h"
#include "zc_simd.h"

#define RANK_BITS 256
#define RANK_WORDS (RANK_BITS / 64)

/* Bit i is whether byte i of the 64 at 'src' is not 0. */
#if defined(__SSE2__)
ZC_INLINE uint64_t sixteen_bits(const uint8_t *src)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)src);

	return (uint16_t)~_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128()));
}

ZC_INLINE uint64_t word_of(const uint8_t *src)
{
	return sixteen_bits(src) | sixteen_bits(src + 16) << 16 | sixteen_bits(src + 32) << 32 |
	       sixteen_bits(src + 48) << 48;
}
#else
ZC_INLINE uint64_t eight_bits(const uint8_t *src)
{
	const uint64_t low7 = 0x7f7f7f7f7f7f7f7f;
	uint64_t v;

	memcpy(&v, src, sizeof(v));
	v = (((v & low7) + low7) | v) & ~low7;
	/* The top bits of the bytes, side by side in the top byte. */
	return (v >> 7) * 0x0102040810204080 >> 56;
}

ZC_INLINE uint64_t word_of(const uint8_t *src)
{
	uint64_t word = 0;

	for (int i = 0; i < 8; i++)
		word |= eight_bits(src + 8 * i) << (8 * i);
	return word;
}
#endif

static uint64_t last_word(const uint8_t *src, size_t n)
{
	uint64_t word = 0;

	for (size_t i = 0; i < n; i++)
		word |= (uint64_t)(src[i] != 0) << i;
	return word;
}

/* All words that are whole, and the ranks that fall to them; returns how many are true. */
ZC_INLINE size_t pack_body(const uint8_t *src, size_t n_words, uint64_t *bits, uint64_t *ranks)
{
	size_t rank = 0;

	for (size_t i = 0; i < n_words; i++) {
		uint64_t word = word_of(src + 64 * i);

		if (i % RANK_WORDS == 0)
			ranks[i / RANK_WORDS] = rank;
		bits[i] = word;
		rank += (size_t)__builtin_popcountll(word);
	}
	return rank;
}

ZC_LEVELS(size_t, pack, (const uint8_t *src, size_t n_words, uint64_t *bits, uint64_t *ranks),
	  (src, n_words, bits, ranks))

static void fill_in(zc_mask *mask, const uint8_t *src)
{
	size_t n_words = mask->n / 64, rest = mask->n % 64;
	uint64_t last = last_word(src + 64 * n_words, rest);
	size_t rank = ZC_PICK(zc_simd_best(), pack)(src, n_words, mask->bits, mask->ranks);

	/* One word more than there are, so that a word may be put together of two anywhere. */
	mask->bits[n_words] = last;
	mask->bits[n_words + 1] = 0;
	if (n_words % RANK_WORDS == 0)
		mask->ranks[n_words / RANK_WORDS] = rank;
	mask->n_true = rank + (size_t)__builtin_popcountll(last);
	/* Past the last element: a row may end there. */
	if (mask->n % RANK_BITS == 0)
		mask->ranks[mask->n / RANK_BITS] = mask->n_true;
}

/* Strides in C order, and how many elements; 0 if those are too many. */
static int load_shape(zc_mask *mask, const size_t *shape)
{
	size_t n = 1;
	int is_empty = 0;

	for (int i = 0; i < mask->ndim; i++) {
		mask->shape[i] = shape[i];
		mask->strides[i] = 0;
		is_empty |= shape[i] == 0;
	}
	if (is_empty) {
		mask->n = 0;
		return 1;
	}
	for (int i = mask->ndim - 1; i >= 0; i--) {
		mask->strides[i] = n;
		if (n > SIZE_MAX / 2 / shape[i])
			return 0;
		n *= shape[i];
	}
	mask->n = n;
	return 1;
}

zc_status zc_mask_make(const uint8_t *mask, const size_t *shape, int ndim, zc_mask *ret)
{
	size_t n_words, n_ranks;

	memset(ret, 0, sizeof(*ret));
	if (ndim < 0 || ndim > ZC_MASK_MAX_NDIM)
		return ZC_EINVAL;
	ret->ndim = ndim;
	if (!load_shape(ret, shape))
		return ZC_EINVAL;
	n_words = ret->n / 64 + 2;
	n_ranks = ret->n / RANK_BITS + 1;
	zc_scratch_make(&ret->memory, (n_words + n_ranks) * sizeof(uint64_t));
	if (ret->memory.data == NULL)
		return ZC_ENOMEM;
	ret->bits = (uint64_t *)(void *)ret->memory.data;
	ret->ranks = ret->bits + n_words;
	fill_in(ret, mask);
	return ZC_OK;
}

void zc_mask_free(zc_mask *mask)
{
	zc_scratch_free(&mask->memory);
	memset(mask, 0, sizeof(*mask));
}

/* How many are true before element 'i', 0 to n. */
ZC_INLINE size_t rank_body(const zc_mask *mask, size_t i)
{
	const uint64_t *words = mask->bits + i / RANK_BITS * RANK_WORDS;
	size_t rank = (size_t)mask->ranks[i / RANK_BITS];
	size_t whole = i / 64 % RANK_WORDS;

	for (size_t j = 0; j < whole; j++)
		rank += (size_t)__builtin_popcountll(words[j]);
	/* Bits below i % 64, which may be none: never of a word past the last one. */
	return rank + (size_t)__builtin_popcountll(words[whole] & (((uint64_t)1 << i % 64) - 1));
}

ZC_LEVELS(size_t, rank, (const zc_mask *mask, size_t i), (mask, i))

/* Up to 64 bits from element 'i' on, of which 'n' (at least 1) are wanted. */
ZC_INLINE uint64_t bits_at(const uint64_t *bits, size_t i, size_t n)
{
	size_t shift = i % 64;
	uint64_t word = bits[i / 64] >> shift;

	if (shift != 0)
		word |= bits[i / 64 + 1] << (64 - shift);
	return n < 64 ? word & (((uint64_t)1 << n) - 1) : word;
}

/* The box as rows: dimensions from the outermost on, those merged that are one run on both sides. */
typedef struct box_rows {
	int ndim;
	size_t n[ZC_MASK_MAX_NDIM + 1], stride[ZC_MASK_MAX_NDIM + 1];	/* elements */
	ptrdiff_t chunk_stride[ZC_MASK_MAX_NDIM + 1];
	size_t index[ZC_MASK_MAX_NDIM + 1];
	size_t first;			/* element that the row begins with */
	ptrdiff_t offset;		/* of it in the chunk */
	size_t (*rank)(const zc_mask *mask, size_t i);
} box_rows;

static void add_dimension(box_rows *rows, size_t n, size_t stride, ptrdiff_t chunk_stride)
{
	int i = rows->ndim - 1;

	if (n == 1)
		return;
	if (i >= 0 && rows->stride[i] == n * stride &&
	    (size_t)rows->chunk_stride[i] == n * (size_t)chunk_stride) {
		rows->n[i] *= n;
	} else {
		rows->ndim++;
		rows->n[++i] = n;
	}
	rows->stride[i] = stride;
	rows->chunk_stride[i] = chunk_stride;
}

/* Begin with the first row; 0 if the box is empty.  Without 'chunk_strides' nobody asks for the chunk's side. */
static int rows_begin(box_rows *rows, const zc_mask *mask, const size_t *low, const size_t *count,
		      const ptrdiff_t *chunk_strides)
{
	rows->ndim = 0;
	rows->first = 0;
	rows->offset = 0;
	rows->rank = ZC_PICK(zc_simd_best(), rank);
	for (int i = 0; i < mask->ndim; i++) {
		if (count[i] == 0)
			return 0;
		rows->first += low[i] * mask->strides[i];
		add_dimension(rows, count[i], mask->strides[i],
			      chunk_strides == NULL ? (ptrdiff_t)mask->strides[i] : chunk_strides[i]);
	}
	/* The last dimension of a row is the mask's own run. */
	if (rows->ndim == 0 || rows->stride[rows->ndim - 1] != 1) {
		rows->n[rows->ndim] = 1;
		rows->stride[rows->ndim] = 1;
		rows->chunk_stride[rows->ndim++] = 0;
	}
	for (int i = 0; i < rows->ndim; i++)
		rows->index[i] = 0;
	return 1;
}

static int rows_next(box_rows *rows)
{
	for (int i = rows->ndim - 2; i >= 0; i--) {
		if (++rows->index[i] < rows->n[i]) {
			rows->first += rows->stride[i];
			rows->offset += rows->chunk_stride[i];
			return 1;
		}
		rows->index[i] = 0;
		rows->first -= rows->stride[i] * (rows->n[i] - 1);
		rows->offset -= rows->chunk_stride[i] * (ptrdiff_t)(rows->n[i] - 1);
	}
	return 0;
}

size_t zc_mask_count(const zc_mask *mask, const size_t *low, const size_t *count)
{
	box_rows rows;
	size_t n_true = 0, n;

	if (!rows_begin(&rows, mask, low, count, NULL))
		return 0;
	n = rows.n[rows.ndim - 1];
	do {
		n_true += rows.rank(mask, rows.first + n) - rows.rank(mask, rows.first);
	} while (rows_next(&rows));
	return n_true;
}

/* A row of the box, and one side of it: every element of it, the other side being the true ones one after the other. */
typedef struct bit_row {
	const uint64_t *bits;
	size_t first, n;
	ptrdiff_t chunk_stride, user_stride;
	size_t itemsize, swap_unit;
} bit_row;

typedef void (*move_row)(const bit_row *row, uint8_t *dst, const uint8_t *src);

/* 64 items, which the compiler makes vector code of where both sides are contiguous: masks are mostly areas. */
#define FULL_WORD(name, type) \
	ZC_INLINE void run_##name(uint8_t *restrict dst, ptrdiff_t dst_stride, const uint8_t *restrict src, \
				  ptrdiff_t src_stride) \
	{ \
		for (ptrdiff_t i = 0; i < 64; i++) { \
			type v; \
			\
			memcpy(&v, src + i * src_stride, sizeof(v)); \
			v = name(v); \
			memcpy(dst + i * dst_stride, &v, sizeof(v)); \
		} \
	} \
	ZC_INLINE void full_##name(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t src_stride) \
	{ \
		const ptrdiff_t packed = (ptrdiff_t)sizeof(type); \
		\
		if (dst_stride == packed && src_stride == packed) \
			run_##name(dst, packed, src, packed); \
		else \
			run_##name(dst, dst_stride, src, src_stride); \
	}

ZC_FOR_ITEMS(FULL_WORD)

/* gather: to the user's array; scatter: to the chunk. */
#define ITEM_ROWS(name, type) \
	static void gather_##name(const bit_row *row, uint8_t *dst, const uint8_t *src) \
	{ \
		const ptrdiff_t chunk_stride = row->chunk_stride, user_stride = row->user_stride; \
		\
		for (size_t i = 0; i < row->n; i += 64) { \
			const uint8_t *from = src + (ptrdiff_t)i * chunk_stride; \
			uint64_t word = bits_at(row->bits, row->first + i, row->n - i); \
			\
			if (word == UINT64_MAX) { \
				full_##name(dst, user_stride, from, chunk_stride); \
				dst += 64 * user_stride; \
				continue; \
			} \
			for (; word != 0; word &= word - 1) { \
				type v; \
				\
				memcpy(&v, from + (ptrdiff_t)__builtin_ctzll(word) * chunk_stride, sizeof(v)); \
				v = name(v); \
				memcpy(dst, &v, sizeof(v)); \
				dst += user_stride; \
			} \
		} \
	} \
	static void scatter_##name(const bit_row *row, uint8_t *dst, const uint8_t *src) \
	{ \
		const ptrdiff_t chunk_stride = row->chunk_stride, user_stride = row->user_stride; \
		\
		for (size_t i = 0; i < row->n; i += 64) { \
			uint8_t *to = dst + (ptrdiff_t)i * chunk_stride; \
			uint64_t word = bits_at(row->bits, row->first + i, row->n - i); \
			\
			if (word == UINT64_MAX) { \
				full_##name(to, chunk_stride, src, user_stride); \
				src += 64 * user_stride; \
				continue; \
			} \
			for (; word != 0; word &= word - 1) { \
				type v; \
				\
				memcpy(&v, src, sizeof(v)); \
				v = name(v); \
				memcpy(to + (ptrdiff_t)__builtin_ctzll(word) * chunk_stride, &v, sizeof(v)); \
				src += user_stride; \
			} \
		} \
	}

ZC_FOR_ITEMS(ITEM_ROWS)

static void gather_any(const bit_row *row, uint8_t *dst, const uint8_t *src)
{
	for (size_t i = 0; i < row->n; i += 64) {
		uint64_t word = bits_at(row->bits, row->first + i, row->n - i);

		for (; word != 0; word &= word - 1) {
			ptrdiff_t place = (ptrdiff_t)(i + (size_t)__builtin_ctzll(word)) * row->chunk_stride;

			zc_item_copy(dst, src + place, row->itemsize, row->swap_unit);
			dst += row->user_stride;
		}
	}
}

static void scatter_any(const bit_row *row, uint8_t *dst, const uint8_t *src)
{
	for (size_t i = 0; i < row->n; i += 64) {
		uint64_t word = bits_at(row->bits, row->first + i, row->n - i);

		for (; word != 0; word &= word - 1) {
			ptrdiff_t place = (ptrdiff_t)(i + (size_t)__builtin_ctzll(word)) * row->chunk_stride;

			zc_item_copy(dst + place, src, row->itemsize, row->swap_unit);
			src += row->user_stride;
		}
	}
}

#define GATHER_NAME(name) gather_##name
#define SCATTER_NAME(name) scatter_##name

static bit_row first_row(const zc_mask *mask, const box_rows *rows, ptrdiff_t user_stride, size_t itemsize, size_t swap_unit)
{
	bit_row result = {mask->bits, rows->first, rows->n[rows->ndim - 1], rows->chunk_stride[rows->ndim - 1],
		      user_stride, itemsize, swap_unit < 2 ? 0 : swap_unit};

	return result;
}

void zc_mask_read(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, ptrdiff_t user_stride,
		  const uint8_t *chunk, ptrdiff_t chunk_offset, const ptrdiff_t *chunk_strides, size_t itemsize,
		  size_t swap_unit)
{
	box_rows rows;
	bit_row row;
	move_row gather;

	if (itemsize == 0 || !rows_begin(&rows, mask, low, count, chunk_strides))
		return;
	row = first_row(mask, &rows, user_stride, itemsize, swap_unit);
	gather = ZC_PICK_ITEM(GATHER_NAME, itemsize, row.swap_unit, gather_any);
	do {
		row.first = rows.first;
		gather(&row, user + (ptrdiff_t)rows.rank(mask, rows.first) * user_stride,
		       chunk + (chunk_offset + rows.offset));
	} while (rows_next(&rows));
}

void zc_mask_write(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *chunk, ptrdiff_t chunk_offset,
		   const ptrdiff_t *chunk_strides, const uint8_t *user, ptrdiff_t user_stride, size_t itemsize,
		   size_t swap_unit)
{
	box_rows rows;
	bit_row row;
	move_row scatter;

	if (itemsize == 0 || !rows_begin(&rows, mask, low, count, chunk_strides))
		return;
	row = first_row(mask, &rows, user_stride, itemsize, swap_unit);
	scatter = ZC_PICK_ITEM(SCATTER_NAME, itemsize, row.swap_unit, scatter_any);
	do {
		row.first = rows.first;
		scatter(&row, chunk + (chunk_offset + rows.offset),
			user + (ptrdiff_t)rows.rank(mask, rows.first) * user_stride);
	} while (rows_next(&rows));
}

#define FILL(name, type) \
	static void fill_##name(uint8_t *dst, ptrdiff_t stride, size_t n, const uint8_t *item, size_t itemsize) \
	{ \
		type v; \
		\
		(void)itemsize; \
		memcpy(&v, item, sizeof(v)); \
		if (stride == (ptrdiff_t)sizeof(v)) \
			for (size_t i = 0; i < n; i++) \
				memcpy(dst + i * sizeof(v), &v, sizeof(v)); \
		else \
			for (size_t i = 0; i < n; i++) \
				memcpy(dst + (ptrdiff_t)i * stride, &v, sizeof(v)); \
	}

FILL(kept_1, uint8_t)
FILL(kept_2, uint16_t)
FILL(kept_4, uint32_t)
FILL(kept_8, uint64_t)
FILL(kept_16, zc_item16)

static void fill_any(uint8_t *dst, ptrdiff_t stride, size_t n, const uint8_t *item, size_t itemsize)
{
	for (size_t i = 0; i < n; i++)
		memcpy(dst + (ptrdiff_t)i * stride, item, itemsize);
}

typedef void (*fill_items)(uint8_t *dst, ptrdiff_t stride, size_t n, const uint8_t *item, size_t itemsize);

static fill_items fill_of(size_t itemsize)
{
	switch (itemsize) {
	case 1:
		return fill_kept_1;
	case 2:
		return fill_kept_2;
	case 4:
		return fill_kept_4;
	case 8:
		return fill_kept_8;
	case 16:
		return fill_kept_16;
	default:
		return fill_any;
	}
}

void zc_mask_fill(const zc_mask *mask, const size_t *low, const size_t *count, uint8_t *user, ptrdiff_t user_stride,
		  size_t itemsize, const uint8_t *item)
{
	box_rows rows;
	fill_items fill = fill_of(itemsize);
	size_t n;

	if (itemsize == 0 || !rows_begin(&rows, mask, low, count, NULL))
		return;
	n = rows.n[rows.ndim - 1];
	do {
		size_t rank = rows.rank(mask, rows.first), end = rows.rank(mask, rows.first + n);

		fill(user + (ptrdiff_t)rank * user_stride, user_stride, end - rank, item, itemsize);
	} while (rows_next(&rows));
}
