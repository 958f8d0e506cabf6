/*
 * zc_casting.c - the first element that does not fit an integer type.
 *
 * Rows are tested in blocks without a branch, which compilers turn into vector code; only a block with a misfit is
 * searched.
 */
#include "zc_casting.h"

#include <string.h>

#include "zc_simd.h"

#define BLOCK_N 1024

/*
 * The limits of a target for one kind of number.  For integers: v fits if (v - low) has no bit outside 'span', which is
 * a power of two less 1 also after clipping to what the number can be.  For floats: low <= v < past.
 */
typedef struct limits {
	uint64_t low;
	uint64_t span;
	double float_low;
	double float_past;
} limits;

static double power_of_two(int exponent)
{
	double power = 1.0;

	while (exponent-- > 0)
		power *= 2.0;
	return power;
}

static uint64_t ones(int n_bits)
{
	return n_bits == 0 ? 0 : UINT64_MAX >> (64 - n_bits);
}

static limits limits_of(zc_target target, int number_is_signed, int number_n_bits)
{
	int positive_bits = target.n_bits - target.is_signed;
	int number_positive_bits = number_n_bits - number_is_signed;
	limits result;

	result.float_low = target.is_signed ? -power_of_two(positive_bits) : 0.0;
	result.float_past = power_of_two(positive_bits);
	if (target.is_signed && number_is_signed) {
		int n_bits = target.n_bits < number_n_bits ? target.n_bits : number_n_bits;

		result.low = (uint64_t)0 - (UINT64_C(1) << (n_bits - 1));
		result.span = ones(n_bits);
	} else {
		result.low = 0;
		result.span = ones(positive_bits < number_positive_bits ? positive_bits : number_positive_bits);
	}
	return result;
}

/* 1 if an integer, given as its bits, misfits. */
#define INTEGER_MISFITS(bits) \
	ZC_INLINE uint##bits##_t integer##bits##_misfits(uint##bits##_t v, const limits *limit) \
	{ \
		return (uint##bits##_t)((uint##bits##_t)(v - (uint##bits##_t)limit->low) & \
					(uint##bits##_t)~(uint##bits##_t)limit->span); \
	}

/* A float from its bits.  Adding 2^mantissa to a smaller magnitude and taking it away again rounds to a whole number. */
#define FLOAT_MISFITS(bits, type, mantissa) \
	ZC_INLINE uint##bits##_t float##bits##_misfits(uint##bits##_t v, const limits *limit) \
	{ \
		const type whole_from = (type)(UINT64_C(1) << (mantissa)); \
		type value, magnitude, rounded; \
		\
		memcpy(&value, &v, sizeof(value)); \
		magnitude = value < 0 ? -value : value; \
		rounded = (magnitude + whole_from) - whole_from; \
		/* '&' and '|', as '&&' is a branch. */ \
		return !((value >= (type)limit->float_low) & (value < (type)limit->float_past) & \
			 ((rounded == magnitude) | (magnitude >= whole_from))); \
	}

INTEGER_MISFITS(8)
INTEGER_MISFITS(16)
INTEGER_MISFITS(32)
INTEGER_MISFITS(64)
FLOAT_MISFITS(32, float, 23)
FLOAT_MISFITS(64, double, 52)

/* A float16 is exact as a float32: its bits moved up, and the difference of the exponents' biases multiplied in. */
ZC_INLINE uint16_t float16_misfits(uint16_t v, const limits *limit)
{
	const uint32_t exponent = 0x7c00;
	uint32_t moved = ((uint32_t)(v & 0x8000) << 16) | ((uint32_t)(v & 0x7fff) << 13);
	float value;

	memcpy(&value, &moved, sizeof(value));
	value *= 0x1p112f;
	memcpy(&moved, &value, sizeof(moved));
	return (uint16_t)(((v & exponent) == exponent) | float32_misfits(moved, limit));
}

#define KEEP(v) (v)

/* The first misfit of a row: the contiguous form in the machine's byte order, and the general form. */
#define ROWS(kind, bits, swap) \
	ZC_INLINE size_t kind##bits##_packed_body(const uint8_t *src, size_t n, const limits *given) \
	{ \
		const limits limit = *given; \
		\
		for (size_t start = 0; start < n; start += BLOCK_N) { \
			size_t end = n - start < BLOCK_N ? n : start + BLOCK_N; \
			uint##bits##_t v, misfits = 0; \
			\
			for (size_t i = start; i < end; i++) { \
				memcpy(&v, src + i * sizeof(v), sizeof(v)); \
				misfits = (uint##bits##_t)(misfits | kind##bits##_misfits(v, &limit)); \
			} \
			for (size_t i = start; misfits != 0 && i < end; i++) { \
				memcpy(&v, src + i * sizeof(v), sizeof(v)); \
				if (kind##bits##_misfits(v, &limit)) \
					return i; \
			} \
		} \
		return n; \
	} \
	ZC_LEVELS(size_t, kind##bits##_packed, (const uint8_t *src, size_t n, const limits *limit), (src, n, limit)) \
	\
	static size_t kind##bits##_row(const uint8_t *src, ptrdiff_t stride, size_t n, const limits *limit, int is_swapped) \
	{ \
		uint##bits##_t v; \
		\
		if (stride == (ptrdiff_t)sizeof(v) && !is_swapped) \
			return ZC_PICK(zc_simd_best(), kind##bits##_packed)(src, n, limit); \
		for (size_t i = 0; i < n; i++, src += stride) { \
			memcpy(&v, src, sizeof(v)); \
			if (is_swapped) \
				v = swap(v); \
			if (kind##bits##_misfits(v, limit)) \
				return i; \
		} \
		return n; \
	}

ROWS(integer, 8, KEEP)
ROWS(integer, 16, __builtin_bswap16)
ROWS(integer, 32, __builtin_bswap32)
ROWS(integer, 64, __builtin_bswap64)
ROWS(float, 16, __builtin_bswap16)
ROWS(float, 32, __builtin_bswap32)
ROWS(float, 64, __builtin_bswap64)

/* Long doubles of every machine hold 64-bit integers exactly or round the number, so a round trip tells. */
static size_t long_double_row(const uint8_t *src, ptrdiff_t stride, size_t n, const limits *limit, int is_swapped)
{
	(void)is_swapped;
	for (size_t i = 0; i < n; i++, src += stride) {
		long double v, whole;

		memcpy(&v, src, sizeof(v));
		if (!(v >= (long double)limit->float_low && v < (long double)limit->float_past))
			return i;
		whole = v < 0 ? (long double)(int64_t)v : (long double)(uint64_t)v;
		if (whole != v)
			return i;
	}
	return n;
}

typedef size_t (*row_function)(const uint8_t *src, ptrdiff_t stride, size_t n, const limits *limit, int is_swapped);

typedef struct number_traits {
	row_function row;
	int is_signed;
	int n_bits;	/* of an integer */
} number_traits;

static const number_traits traits[ZC_N_NUMBERS] = {
	[ZC_INT8] = {integer8_row, 1, 8},	[ZC_INT16] = {integer16_row, 1, 16},
	[ZC_INT32] = {integer32_row, 1, 32},	[ZC_INT64] = {integer64_row, 1, 64},
	[ZC_UINT8] = {integer8_row, 0, 8},	[ZC_UINT16] = {integer16_row, 0, 16},
	[ZC_UINT32] = {integer32_row, 0, 32},	[ZC_UINT64] = {integer64_row, 0, 64},
	[ZC_FLOAT16] = {float16_row, 1, 64},	[ZC_FLOAT32] = {float32_row, 1, 64},
	[ZC_FLOAT64] = {float64_row, 1, 64},	[ZC_LONG_DOUBLE] = {long_double_row, 1, 64},
};

size_t zc_first_misfit(zc_number number, int is_swapped, const uint8_t *src, const ptrdiff_t *strides,
		       const size_t *shape, int ndim, zc_target target)
{
	const number_traits *trait = &traits[number];
	const limits limit = limits_of(target, trait->is_signed, trait->n_bits);
	size_t index[64] = {0}, done = 0, n = ndim > 0 ? shape[ndim - 1] : 1;
	ptrdiff_t stride = ndim > 0 ? strides[ndim - 1] : 0;
	int axis;

	for (int i = 0; i < ndim; i++)
		if (shape[i] == 0)
			return SIZE_MAX;
	for (;;) {
		size_t first = trait->row(src, stride, n, &limit, is_swapped);

		if (first < n)
			return done + first;
		done += n;
		for (axis = ndim - 2; axis >= 0; axis--) {
			src += strides[axis];
			if (++index[axis] < shape[axis])
				break;
			src -= strides[axis] * (ptrdiff_t)shape[axis];
			index[axis] = 0;
		}
		if (axis < 0)
			return SIZE_MAX;
	}
}
