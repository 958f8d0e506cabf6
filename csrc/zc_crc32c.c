/*
 * zc_crc32c.c - CRC-32C by tables, by the machine's instruction, and by three interleaved streams of it.
 *
 * A crc here is the bit-reflected remainder without the final complement; a product of two such polynomials is taken
 * modulo 0x11EDC6F41, whose reflected low part is POLYNOMIAL.
 */
#include "zc_crc32c.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET_CRC __attribute__((target("sse4.2")))
#elif defined(__aarch64__) && defined(__GNUC__)
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__clang__)
#define TARGET_CRC __attribute__((target("crc")))	/* clang 15 and older do not take the plus */
#else
#define TARGET_CRC __attribute__((target("+crc")))
#endif
#endif

#define POLYNOMIAL UINT32_C(0x82F63B78)

static uint64_t load8(const uint8_t *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

/* ---- tables: table[k][b] is the crc of byte b followed by k zero bytes ---- */

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
		table[0][b] = crc;
	}
	for (int k = 1; k < 8; k++)
		for (uint32_t b = 0; b < 256; b++)
			table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xff];
}

static uint32_t crc_by_tables(const uint8_t *data, size_t nbytes, uint32_t crc)
{
	pthread_once(&table_once, fill_table);
	for (; nbytes >= 8; nbytes -= 8, data += 8) {
		/* Eight lookups that do not wait for each other; bytes are named, so the machine's order is no matter. */
		crc = table[7][data[0] ^ (crc & 0xff)] ^ table[6][data[1] ^ (crc >> 8 & 0xff)] ^
		      table[5][data[2] ^ (crc >> 16 & 0xff)] ^ table[4][data[3] ^ (crc >> 24)] ^
		      table[3][data[4]] ^ table[2][data[5]] ^ table[1][data[6]] ^ table[0][data[7]];
	}
	for (; nbytes > 0; nbytes--, data++)
		crc = (crc >> 8) ^ table[0][(crc ^ *data) & 0xff];
	return crc;
}

#ifdef TARGET_CRC

/* ---- the instruction ---- */

#if defined(__x86_64__)
#define CRC8(crc, word) ((uint32_t)_mm_crc32_u64(crc, word))
#define CRC1(crc, byte) _mm_crc32_u8(crc, byte)
#elif defined(__clang__)	/* builtins, as the header's functions hide from clang unless all files are for +crc */
#define CRC8(crc, word) __builtin_arm_crc32cd(crc, word)
#define CRC1(crc, byte) __builtin_arm_crc32cb(crc, byte)
#else
#define CRC8(crc, word) __builtin_aarch64_crc32cx(crc, word)
#define CRC1(crc, byte) __builtin_aarch64_crc32cb(crc, byte)
#endif

TARGET_CRC static uint32_t crc_by_instruction(const uint8_t *data, size_t nbytes, uint32_t crc)
{
	for (; nbytes >= 8; nbytes -= 8, data += 8)
		crc = CRC8(crc, load8(data));
	for (; nbytes > 0; nbytes--, data++)
		crc = CRC1(crc, *data);
	return crc;
}

/* ---- three streams: the instruction takes three cycles and starts one each cycle ---- */

/* a * b modulo the polynomial, bits reflected: bit 31 is the coefficient of x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = UINT32_C(1) << 31; bit != 0; bit >>= 1) {
		product ^= a & bit ? b : 0;
		b = (b >> 1) ^ (b & 1 ? POLYNOMIAL : 0);
	}
	return product;
}

/* x^(8 * nbytes): multiplying a crc by this is appending that many zero bytes. */
static uint32_t shift_of(size_t nbytes)
{
	uint32_t power = UINT32_C(1) << 23, shift = UINT32_C(1) << 31;	/* x^8, x^0 */

	for (; nbytes != 0; nbytes >>= 1) {
		if (nbytes & 1)
			shift = multiply(shift, power);
		power = multiply(power, power);
	}
	return shift;
}

/*
 * Stream lengths; each serves what the longer ones leave.  From memory rather than a cache, streams of 64 KiB give 20 GB/s
 * and those of 4 KiB 12.5 (Zen 3): a prefetcher starts anew with each page.
 */
#define N_LENGTHS 3
static const size_t stream_nbytes[N_LENGTHS] = {65536, 4096, 256};
static uint32_t shift_table[N_LENGTHS][2][4][256];
static pthread_once_t shifts_once = PTHREAD_ONCE_INIT;

/* shift_table[k][one or two lengths][i][b] is byte b, at place i of a crc, shifted. */
static void fill_shifts(void)
{
	for (int k = 0; k < N_LENGTHS; k++)
		for (int n = 0; n < 2; n++) {
			uint32_t shift = shift_of(stream_nbytes[k] * (size_t)(n + 1));

			for (uint32_t i = 0; i < 4; i++)
				for (uint32_t b = 0; b < 256; b++)
					shift_table[k][n][i][b] = multiply(b << (8 * i), shift);
		}
}

static inline uint32_t shifted(uint32_t crc, const uint32_t by[4][256])
{
	return by[0][crc & 0xff] ^ by[1][crc >> 8 & 0xff] ^ by[2][crc >> 16 & 0xff] ^ by[3][crc >> 24];
}

TARGET_CRC static uint32_t crc_by_streams(const uint8_t *data, size_t nbytes, uint32_t crc)
{
	pthread_once(&shifts_once, fill_shifts);
	for (int k = 0; k < N_LENGTHS; k++) {
		const size_t n = stream_nbytes[k];

		for (; nbytes >= 3 * n; nbytes -= 3 * n, data += 3 * n) {
			uint32_t second = 0, third = 0;

			for (size_t i = 0; i < n; i += 8) {
				crc = CRC8(crc, load8(data + i));
				second = CRC8(second, load8(data + n + i));
				third = CRC8(third, load8(data + 2 * n + i));
			}
			crc = shifted(crc, shift_table[k][1]) ^ shifted(second, shift_table[k][0]) ^ third;
		}
	}
	return crc_by_instruction(data, nbytes, crc);
}

static int has_instruction(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("sse4.2") != 0;
#elif defined(__linux__)
	return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#else
	return 1;	/* every 64-bit ARM of Apple's */
#endif
}

#endif /* TARGET_CRC */

int zc_crc32c_best_level(void)
{
#ifdef TARGET_CRC
	if (has_instruction())
		return ZC_CRC32C_STREAMS;
#endif
	return ZC_CRC32C_TABLES;
}

uint32_t zc_crc32c_at(int level, const uint8_t *data, size_t nbytes, uint32_t value)
{
	int best = zc_crc32c_best_level();

	if (level < 0 || level > best)
		level = best;
#ifdef TARGET_CRC
	if (level == ZC_CRC32C_STREAMS && nbytes >= 3 * stream_nbytes[N_LENGTHS - 1])
		return ~crc_by_streams(data, nbytes, ~value);
	if (level >= ZC_CRC32C_HARDWARE)
		return ~crc_by_instruction(data, nbytes, ~value);
#endif
	return ~crc_by_tables(data, nbytes, ~value);
}

uint32_t zc_crc32c(const uint8_t *data, size_t nbytes, uint32_t value)
{
	return zc_crc32c_at(-1, data, nbytes, value);
}

zc_status zc_crc32c_encode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			   uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes)
{
	uint32_t crc;

	(void)config;
	(void)worker;
	if (dst_capacity < ZC_CRC32C_NBYTES || dst_capacity - ZC_CRC32C_NBYTES < src_nbytes)
		return ZC_ETOOLARGE;
	if (src_nbytes != 0)
		memcpy(dst, src, src_nbytes);
	crc = zc_crc32c(src, src_nbytes, 0);
	for (int i = 0; i < ZC_CRC32C_NBYTES; i++)
		dst[src_nbytes + (size_t)i] = (uint8_t)(crc >> (8 * i));
	*dst_nbytes = src_nbytes + ZC_CRC32C_NBYTES;
	return ZC_OK;
}

zc_status zc_crc32c_verify(const uint8_t *src, size_t src_nbytes)
{
	uint32_t stored = 0;

	if (src_nbytes < ZC_CRC32C_NBYTES)
		return ZC_ETRUNCATED;
	for (size_t i = 0; i < ZC_CRC32C_NBYTES; i++)
		stored |= (uint32_t)src[src_nbytes - ZC_CRC32C_NBYTES + i] << (8 * i);
	return zc_crc32c(src, src_nbytes - ZC_CRC32C_NBYTES, 0) == stored ? ZC_OK : ZC_ECHECKSUM;
}

zc_status zc_crc32c_decode(const void *config, zc_worker *worker, const uint8_t *src, size_t src_nbytes,
			   uint8_t *dst, size_t dst_capacity, size_t *dst_nbytes)
{
	zc_status status = zc_crc32c_verify(src, src_nbytes);

	(void)config;
	(void)worker;
	if (status != ZC_OK)
		return status;
	if (src_nbytes - ZC_CRC32C_NBYTES > dst_capacity)
		return ZC_ETOOLARGE;
	if (src_nbytes > ZC_CRC32C_NBYTES)
		memcpy(dst, src, src_nbytes - ZC_CRC32C_NBYTES);
	*dst_nbytes = src_nbytes - ZC_CRC32C_NBYTES;
	return ZC_OK;
}

zc_status zc_crc32c_bound(const void *config, size_t nbytes, size_t *bound_ret)
{
	(void)config;
	if (nbytes > SIZE_MAX - ZC_CRC32C_NBYTES)
		return ZC_ELIMIT;
	*bound_ret = nbytes + ZC_CRC32C_NBYTES;
	return ZC_OK;
}
