/*
 * zc_points_sort.c - radix sort, from the least significant digit on; insertion for a few.
 */
#include "zc_points_sort.h"

#include <string.h>

/* Up to so many points are sorted by insertion. */
#define MAX_INSERTED 32

#define MAX_RADIX_BITS 11

static void sort_by_insertion(zc_points_pair *pairs, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		zc_points_pair moved = pairs[i];
		size_t j = i;

		for (; j > 0 && pairs[j - 1].key > moved.key; j--)
			pairs[j] = pairs[j - 1];
		pairs[j] = moved;
	}
}

/* One pass of the radix sort by the 'n_bits' bits from 'shift' on.  Returns 0, and moves nothing, if all have the same. */
static int sort_by_bits(const zc_points_pair *from, zc_points_pair *to, size_t n, int shift, int n_bits)
{
	size_t count[1 << MAX_RADIX_BITS];
	size_t mask = ((size_t)1 << n_bits) - 1, sum = 0;

	memset(count, 0, sizeof(count[0]) << n_bits);
	for (size_t i = 0; i < n; i++)
		count[(size_t)(from[i].key >> shift) & mask]++;
	if (count[(size_t)(from[0].key >> shift) & mask] == n)
		return 0;
	for (size_t i = 0; i <= mask; i++) {
		size_t start = sum;

		sum += count[i];
		count[i] = start;
	}
	for (size_t i = 0; i < n; i++)
		to[count[(size_t)(from[i].key >> shift) & mask]++] = from[i];
	return 1;
}

zc_points_pair *zc_points_sort(zc_points_pair *pairs, zc_points_pair *other, size_t n, uint64_t n_keys)
{
	int n_bits = n_keys == 1 ? 0 : 64 - __builtin_clzll(n_keys - 1);
	int most = n < 4096 ? 8 : MAX_RADIX_BITS;
	int n_passes = (n_bits + most - 1) / most, step;

	if (n <= MAX_INSERTED) {
		sort_by_insertion(pairs, n);
		return pairs;
	}
	step = n_passes == 0 ? 0 : (n_bits + n_passes - 1) / n_passes;
	for (int pass = 0; pass < n_passes; pass++)
		if (sort_by_bits(pairs, other, n, pass * step, step)) {
			zc_points_pair *swapped = pairs;

			pairs = other;
			other = swapped;
		}
	return pairs;
}
