/*
 * Counts what the interpreter asks its allocators for: objects, and the memory of lists and their like.
 *
 * NumPy's data is not asked for there. Calls of both allocators come with the GIL held, so that a plain
 * counter does.
 */
#include <Python.h>

#define N_DOMAINS 2

static const PyMemAllocatorDomain domains[N_DOMAINS] = {PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
static PyMemAllocatorEx inner[N_DOMAINS];
static size_t n_calls;

static void *count_malloc(void *context, size_t nbytes)
{
	const PyMemAllocatorEx *allocator = context;

	n_calls++;
	return allocator->malloc(allocator->ctx, nbytes);
}

static void *count_calloc(void *context, size_t n, size_t nbytes)
{
	const PyMemAllocatorEx *allocator = context;

	n_calls++;
	return allocator->calloc(allocator->ctx, n, nbytes);
}

static void *count_realloc(void *context, void *old, size_t nbytes)
{
	const PyMemAllocatorEx *allocator = context;

	n_calls++;
	return allocator->realloc(allocator->ctx, old, nbytes);
}

static void pass_free(void *context, void *old)
{
	const PyMemAllocatorEx *allocator = context;

	allocator->free(allocator->ctx, old);
}

void start_counting(void)
{
	for (int i = 0; i < N_DOMAINS; i++) {
		PyMemAllocatorEx counting = {&inner[i], count_malloc, count_calloc, count_realloc, pass_free};

		PyMem_GetAllocator(domains[i], &inner[i]);
		PyMem_SetAllocator(domains[i], &counting);
	}
	n_calls = 0;
}

size_t stop_counting(void)
{
	size_t n = n_calls;

	for (int i = 0; i < N_DOMAINS; i++)
		PyMem_SetAllocator(domains[i], &inner[i]);
	return n;
}
