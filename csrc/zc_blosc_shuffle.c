#include "zc_blosc_shuffle.h"

#include <shuffle.h>

/* c-blosc2's name for the bitshuffle of Blosc 1: a block is done only if its element count divides by eight. */
#define BLOSC_1_BITSHUFFLE 2

void zc_blosc_shuffle_init(void)
{
	uint8_t src[16] = {0}, dst[16] = {0};

	shuffle(2, sizeof(src), src, dst);
}

int zc_blosc_filters(const struct zc_blosc_header *header, size_t nbytes)
{
	size_t n_elements = nbytes / header->typesize;

	if (header->flags & ZC_BLOSC_BITSHUFFLED)
		return n_elements > 0 && n_elements % 8 == 0;
	return (header->flags & ZC_BLOSC_SHUFFLED) && header->typesize > 1 && n_elements > 0;
}

zc_status zc_blosc_filter(const struct zc_blosc_header *header, const uint8_t *src, uint8_t *dst, size_t nbytes)
{
	int32_t typesize = (int32_t)header->typesize;

	if (!(header->flags & ZC_BLOSC_BITSHUFFLED)) {
		shuffle(typesize, (int32_t)nbytes, src, dst);
		return ZC_OK;
	}
	return bitshuffle(typesize, (int32_t)nbytes, src, dst) < 0 ? ZC_ENOMEM : ZC_OK;
}

zc_status zc_blosc_unfilter(const struct zc_blosc_header *header, const uint8_t *src, uint8_t *dst, size_t nbytes)
{
	int32_t typesize = (int32_t)header->typesize;

	if (!(header->flags & ZC_BLOSC_BITSHUFFLED)) {
		unshuffle(typesize, (int32_t)nbytes, src, dst);
		return ZC_OK;
	}
	return bitunshuffle(typesize, (int32_t)nbytes, src, dst, BLOSC_1_BITSHUFFLE) < 0 ? ZC_ENOMEM : ZC_OK;
}
