/*
 * zc_bitround.c - bit rounding, without a branch in the loops so that compilers turn them into vector code.
 */
#include "zc_bitround.h"

#include <string.h>

#include "zc_simd.h"

/* Numbers at any alignment: a chunk may begin anywhere in a buffer. */
#define UNALIGNED __attribute__((aligned(1), may_alias))
typedef uint8_t number8 UNALIGNED;
typedef uint16_t number16 UNALIGNED;
typedef uint32_t number32 UNALIGNED;
typedef uint64_t number64 UNALIGNED;

/*
 * A float as its bits: adding just under half of the last kept bit, and one more if that bit is odd, rounds half to
 * even; a carry out of the mantissa goes into the exponent, as it should.
 */
#define ROUND_FLOAT(bits, mantissa_nbits) \
	ZC_INLINE uint##bits##_t round_float##bits(uint##bits##_t v, int keepbits) \
	{ \
		const int dropped = mantissa_nbits - keepbits; \
		const uint##bits##_t one = 1, below = (uint##bits##_t)((one << dropped) - 1); \
		const uint##bits##_t exponent = (uint##bits##_t)((((one << (bits - 1)) - 1) >> mantissa_nbits) << mantissa_nbits); \
		uint##bits##_t odd = (uint##bits##_t)(v >> dropped) & one; \
		uint##bits##_t rounded = (uint##bits##_t)((v + (below >> 1) + odd) & (uint##bits##_t)~below); \
		\
		return (v & exponent) == exponent ? v : rounded; \
	}

/*
 * An unsigned integer.  'smeared' has all bits set from the highest set one down, so that a shift by keepbits leaves
 * the bits to drop, none for small numbers: no count of leading zeros, which vectors lack.
 */
#define ROUND_INTEGER(bits) \
	ZC_INLINE uint##bits##_t round_integer##bits(uint##bits##_t v, int keepbits) \
	{ \
		uint##bits##_t smeared = v, below, odd, sum; \
		\
		smeared = (uint##bits##_t)(smeared | smeared >> 1); \
		smeared = (uint##bits##_t)(smeared | smeared >> 2); \
		smeared = (uint##bits##_t)(smeared | smeared >> 4); \
		smeared = (uint##bits##_t)(smeared | smeared >> (8 % bits)); \
		smeared = (uint##bits##_t)(smeared | smeared >> (16 % bits)); \
		smeared = (uint##bits##_t)(smeared | smeared >> (32 % bits)); \
		below = (uint##bits##_t)(smeared >> keepbits); \
		/* The last kept bit; with nothing to drop that would be bit 0, which never is otherwise. */ \
		odd = (uint##bits##_t)(v & (uint##bits##_t)(below + 1) & (uint##bits##_t)~1) ? 1 : 0; \
		sum = (uint##bits##_t)((uint##bits##_t)(v + (below >> 1)) + odd); \
		/* Wrapped around: the highest bit went from 1 to 0.  The sign test is one that vectors have. */ \
		sum = (int##bits##_t)(v & (uint##bits##_t)~sum) < 0 ? (uint##bits##_t)-1 : sum; \
		return (uint##bits##_t)(sum & (uint##bits##_t)~below); \
	}

/* Two loops, as a compiler that must allow for dst == src in one makes no vector code of it. */
#define LOOPS(kind, bits) \
	ZC_INLINE void kind##bits##_body(void *dst, const void *src, size_t n, int keepbits) \
	{ \
		number##bits *out = dst; \
		const number##bits *restrict in = src; \
		\
		if (dst == src) \
			for (size_t i = 0; i < n; i++) \
				out[i] = round_##kind##bits(out[i], keepbits); \
		else \
			for (size_t i = 0; i < n; i++) \
				((number##bits *restrict)out)[i] = round_##kind##bits(in[i], keepbits); \
	} \
	ZC_LEVELS(void, kind##bits, (void *dst, const void *src, size_t n, int keepbits), (dst, src, n, keepbits))

ROUND_FLOAT(16, 10)
ROUND_FLOAT(32, 23)
ROUND_FLOAT(64, 52)
ROUND_INTEGER(8)
ROUND_INTEGER(16)
ROUND_INTEGER(32)
ROUND_INTEGER(64)
LOOPS(float, 16)
LOOPS(float, 32)
LOOPS(float, 64)
LOOPS(integer, 8)
LOOPS(integer, 16)
LOOPS(integer, 32)
LOOPS(integer, 64)

typedef void (*round_function)(void *dst, const void *src, size_t n, int keepbits);

/* The loop for a configuration; NULL where all bits are kept. */
static round_function function_for(int level, const zc_bitround_config *config)
{
	static const int mantissa_nbits[9] = {[2] = 10, [4] = 23, [8] = 52};
	int is_float = config->kind == ZC_BITROUND_FLOAT;
	int all_bits = is_float ? mantissa_nbits[config->itemsize] : 8 * config->itemsize;

	if (config->keepbits >= all_bits)
		return NULL;
	switch (config->itemsize) {
	case 1:
		return ZC_PICK(level, integer8);
	case 2:
		return is_float ? ZC_PICK(level, float16) : ZC_PICK(level, integer16);
	case 4:
		return is_float ? ZC_PICK(level, float32) : ZC_PICK(level, integer32);
	default:
		return is_float ? ZC_PICK(level, float64) : ZC_PICK(level, integer64);
	}
}

void zc_bitround_at(int level, const zc_bitround_config *config, void *dst, const void *src, size_t n_elements)
{
	round_function round = function_for(zc_simd_clip(level), config);
	size_t n = n_elements * (size_t)config->n_components;

	if (n == 0)
		return;
	if (round != NULL)
		round(dst, src, n, config->keepbits);
	else if (dst != src)
		memcpy(dst, src, n * (size_t)config->itemsize);
}

void zc_bitround(const zc_bitround_config *config, void *data, size_t n_elements)
{
	zc_bitround_at(-1, config, data, data, n_elements);
}

static size_t element_nbytes(const zc_bitround_config *config)
{
	return (size_t)config->itemsize * (size_t)config->n_components;
}

static zc_status check_sizes(const zc_bitround_config *config, size_t src_nbytes, size_t dst_capacity)
{
	if (src_nbytes % element_nbytes(config) != 0)
		return ZC_ELENGTH;
	return src_nbytes > dst_capacity ? ZC_ETOOLARGE : ZC_OK;
}

zc_status zc_bitround_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			     uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes)
{
	const zc_bitround_config *bitround = config;
	zc_status status = check_sizes(bitround, src_nbytes, dst_capacity);

	(void)worker;
	if (status != ZC_OK)
		return status;
	zc_bitround_at(-1, bitround, dst, src, src_nbytes / element_nbytes(bitround));
	*dst_nbytes = src_nbytes;
	return ZC_OK;
}

zc_status zc_bitround_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			     uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes)
{
	zc_status status = check_sizes(config, src_nbytes, dst_capacity);

	(void)worker;
	if (status != ZC_OK)
		return status;
	if (src_nbytes != 0)
		memcpy(dst, src, src_nbytes);
	*dst_nbytes = src_nbytes;
	return ZC_OK;
}

zc_status zc_bitround_bound(const void *config, size_t nbytes, size_t *bound_ret)
{
	(void)config;
	*bound_ret = nbytes;
	return ZC_OK;
}
