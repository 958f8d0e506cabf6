/* zc_mix.h - the step that hashes and checksums of ours share: multiply and fold, 16 bytes at a time. */
#ifndef ZC_MIX_H
#define ZC_MIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Odd constants with as many ones as zeros: the first 64 bits of the fractions of sqrt(2), sqrt(3), sqrt(5), sqrt(7), made odd. */
#define ZC_MIX_A UINT64_C(0x6a09e667f3bcc909)
#define ZC_MIX_B UINT64_C(0xbb67ae8584caa73b)
#define ZC_MIX_C UINT64_C(0x3c6ef372fe94f82b)
#define ZC_MIX_D UINT64_C(0xa54ff53a5f1d36f1)

static inline uint64_t zc_mix_fold(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The first 'nbytes' bytes, 8 at most, as a number. */
static inline uint64_t zc_mix_load(const void *at, size_t nbytes)
{
	uint64_t word = 0;

	memcpy(&word, at, nbytes < 8 ? nbytes : 8);
	return word;
}

#endif
