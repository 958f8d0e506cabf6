/*
 * zc_memory.h - memory for large arrays: on huge pages where the system has them, with a little of it kept for reuse.
 *
 * Why, measured on 256 MiB (processor time): touching fresh pages of 4 KiB 150 ms, of 2 MiB 23 ms, pages that are still
 * there 0; the whole read from the page cache is 33 ms.  And read(2) into memory that is not aligned to 32 bytes, as that
 * of malloc is not, takes 3 to 7 times as long on CPUs whose string moves want alignment (AMD Zen 3).
 *
 * Thread safe; nothing here waits.
 */
#ifndef ZC_MEMORY_H
#define ZC_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* All memory from here is aligned to this. */
#define ZC_MEMORY_ALIGNMENT ((size_t)64)

/*
 * The most that is kept of what was given back: 64 MiB of blocks of 2 MiB and more, with what each has in front and to
 * fill its last page; its pages are the system's as soon as it wants them.
 */
#define ZC_MEMORY_KEEP_NBYTES ((size_t)66 << 20)

/* 'nbytes' bytes, contents undefined.  NULL when memory is short.  Give it back with zc_memory_free. */
void *zc_memory_alloc(size_t nbytes);

/* Give 'data' (NULL: nothing) back. */
void zc_memory_free(void *data);

/* The first bytes of 'data' in memory of another size; NULL when memory is short, and 'data' is then as it was. */
void *zc_memory_resize(void *data, size_t nbytes);

/* Past its first 'nbytes' bytes, the contents of 'data' are not wanted: whole huge pages go back to the system. */
void zc_memory_forget(void *data, size_t nbytes);

/* Bytes that are kept now, and giving them all back to the system. */
size_t zc_memory_kept_nbytes(void);
void zc_memory_trim(void);

#endif
