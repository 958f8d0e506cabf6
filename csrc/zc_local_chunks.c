#define _GNU_SOURCE	/* DT_DIR under -std=c11 */
#define _DARWIN_C_SOURCE
#include "zc_local_chunks.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

typedef struct walk {
	const zc_chunk_names *names;
	zc_chunk_list *list;
	int *errno_ret;
	int64_t chunk[ZC_LOCAL_MAX_NDIM];	/* the indices above the directory that is read */
	size_t path_nbytes;
	char path[PATH_MAX];
} walk;

/* The digits at *text_io as the index of a chunk below 'n'; 0 if they are none, or not written as we write them. */
static int parse_index(const char **text_io, int64_t n, int64_t *index_ret)
{
	const char *text = *text_io;
	const char *first = text;
	int64_t value = 0;

	while (*text >= '0' && *text <= '9') {
		int digit = *text++ - '0';

		if (value > (INT64_MAX - digit) / 10)
			return 0;
		value = value * 10 + digit;
	}
	if (text == first || (*first == '0' && text - first > 1) || value >= n)
		return 0;
	*text_io = text;
	*index_ret = value;
	return 1;
}

/* A name that holds the indices of 'n' axes from 'axis' on; 0 if it is none. */
static int parse_name(walk *state, const char *text, int axis, int n)
{
	for (int i = 0; i < n; i++) {
		if (i > 0 && *text++ != state->names->separator)
			return 0;
		if (!parse_index(&text, state->names->n_chunks[axis + i], &state->chunk[axis + i]))
			return 0;
	}
	return *text == '\0';
}

static zc_status append_chunk(walk *state)
{
	zc_chunk_list *list = state->list;
	size_t ndim = (size_t)state->names->ndim;

	if (list->n == list->capacity) {
		size_t capacity = list->capacity < 64 ? 64 : list->capacity + list->capacity / 2;
		int64_t *indices;

		if (capacity > SIZE_MAX / sizeof(*indices) / ndim)
			return ZC_ENOMEM;
		indices = realloc(list->indices, capacity * ndim * sizeof(*indices));
		if (indices == NULL)
			return ZC_ENOMEM;
		list->indices = indices;
		list->capacity = capacity;
	}
	memcpy(list->indices + list->n * ndim, state->chunk, ndim * sizeof(*list->indices));
	list->n++;
	return ZC_OK;
}

/* Add a slash and 'name' to the path; an error if that is too long for a path. */
static zc_status enter(walk *state, const char *name)
{
	size_t nbytes = strlen(name);

	if (nbytes + 2 > sizeof(state->path) - state->path_nbytes) {
		*state->errno_ret = ENAMETOOLONG;
		return ZC_EOS;
	}
	state->path[state->path_nbytes++] = '/';
	memcpy(state->path + state->path_nbytes, name, nbytes + 1);
	state->path_nbytes += nbytes;
	return ZC_OK;
}

static void leave(walk *state, size_t path_nbytes)
{
	state->path_nbytes = path_nbytes;
	state->path[path_nbytes] = '\0';
}

static zc_status list_directory(walk *state, int axis);

/* One name in a directory whose files (or directories) tell the index of 'axis'. */
static zc_status look_at(walk *state, const struct dirent *entry, int axis)
{
	const zc_chunk_names *names = state->names;
	int n_here = names->separator == '/' ? 1 : names->ndim;
	const char *name = entry->d_name;
	size_t above = state->path_nbytes;
	zc_status status;

	if (names->separator != '/' && names->has_c) {
		if (name[0] != 'c' || name[1] != names->separator)
			return ZC_OK;
		name += 2;
	}
	if (!parse_name(state, name, axis, n_here))
		return ZC_OK;
	/* A link, or a file system that does not say, may be either. */
	if (axis + n_here == names->ndim)
		return entry->d_type == DT_DIR ? ZC_OK : append_chunk(state);
	if (entry->d_type == DT_REG)
		return ZC_OK;
	/* Passed over, the chunks below would be missing without a word. */
	status = enter(state, entry->d_name);
	if (status == ZC_OK)
		status = list_directory(state, axis + 1);
	leave(state, above);
	return status;
}

static zc_status list_directory(walk *state, int axis)
{
	DIR *directory = opendir(state->path);
	zc_status status = ZC_OK;
	const struct dirent *entry;

	if (directory == NULL) {
		if (errno == ENOENT || errno == ENOTDIR)
			return ZC_OK;
		*state->errno_ret = errno;
		return ZC_EOS;
	}
	while (status == ZC_OK) {
		errno = 0;
		entry = readdir(directory);
		if (entry == NULL) {
			if (errno != 0) {
				*state->errno_ret = errno;
				status = ZC_EOS;
			}
			break;
		}
		status = look_at(state, entry, axis);
	}
	closedir(directory);
	return status;
}

zc_status zc_local_list_chunks(const char *node, const zc_chunk_names *names, zc_chunk_list *list, int *errno_ret)
{
	walk state;
	zc_status status = ZC_OK;

	if (names->ndim < 1 || names->ndim > ZC_LOCAL_MAX_NDIM)
		return ZC_EINVAL;
	state.names = names;
	state.list = list;
	state.errno_ret = errno_ret;
	state.path_nbytes = strlen(node);
	if (state.path_nbytes >= sizeof(state.path)) {
		*errno_ret = ENAMETOOLONG;
		return ZC_EOS;
	}
	memcpy(state.path, node, state.path_nbytes + 1);
	if (names->separator == '/' && names->has_c)
		status = enter(&state, "c");
	return status == ZC_OK ? list_directory(&state, 0) : status;
}
