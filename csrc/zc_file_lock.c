#define _GNU_SOURCE	/* flock, gethostname, kill under -std=c11 */
#define _DARWIN_C_SOURCE
#include "zc_file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "zc_parents.h"
#include "zc_thread.h"

#define PREFIX ".zc-lock-"
#define PREFIX_NBYTES (sizeof(PREFIX) - 1)
#define EXCLUSIVE_SUFFIX ".x"
#define BREAKER_SUFFIX ".b"
#define SUFFIX_NBYTES ((size_t)2)

/* A directory made here can be removed by somebody else before it is used; after so many rounds that is an error. */
#define MAX_ROUNDS 64

#define FIRST_SLEEP_NS ((uint64_t)100000)
/* Who waits without flock looks at the file each time; by flock the look is a system call, and the next one is waited for. */
#define MAX_SLEEP_NS ((uint64_t)10000000)
#define MAX_FLOCK_SLEEP_NS ((uint64_t)2000000)

/* Who made a lock file: machine and process namespace, then the process. */
#define OWNER_NBYTES 400

struct zc_file_lock {
	zc_file_lock *next;	/* in the list of those with a descriptor */
	int fd;			/* of the locked file; -1 in the way without flock */
	pid_t pid;		/* of the process that has the lock */
	char path[];		/* of the lock file, with room for a suffix */
};

static int refuse_flock;

/*
 * What is locked by flock is the open file, which a child shares: it would keep the lock of a parent that is killed.  So
 * children close what is in this list, and an open file is in it before it can be locked.
 */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static zc_file_lock *with_descriptor;

static void lock_list(void)
{
	pthread_mutex_lock(&mutex);
}

static void unlock_list(void)
{
	pthread_mutex_unlock(&mutex);
}

static void close_list(void)
{
	for (zc_file_lock *lock = with_descriptor; lock != NULL; lock = lock->next) {
		close(lock->fd);
		lock->fd = -1;
	}
	with_descriptor = NULL;
	pthread_mutex_unlock(&mutex);
}

static void init(void)
{
	pthread_atfork(lock_list, unlock_list, close_list);
}

/* Open the lock file, making it if need be, and put the lock into the list; -1 with errno set if that fails. */
static int open_listed(zc_file_lock *lock)
{
	int failure;

	pthread_mutex_lock(&mutex);
	do
		lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
	while (lock->fd < 0 && errno == EINTR);
	failure = errno;
	if (lock->fd >= 0) {
		lock->next = with_descriptor;
		with_descriptor = lock;
	}
	pthread_mutex_unlock(&mutex);
	errno = failure;
	return lock->fd;
}

static void close_listed(zc_file_lock *lock)
{
	pthread_mutex_lock(&mutex);
	for (zc_file_lock **at = &with_descriptor; *at != NULL; at = &(*at)->next) {
		if (*at == lock) {
			*at = lock->next;
			break;
		}
	}
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
	pthread_mutex_unlock(&mutex);
}

/* Call 'make' until it has a descriptor, making the directories that are missing. */
static zc_status make_file(zc_file_lock *lock, size_t root, int (*make)(zc_file_lock *lock), int *errno_ret)
{
	for (int round = 0; round < MAX_ROUNDS; round++) {
		zc_status status;

		if (make(lock) >= 0)
			return ZC_OK;
		*errno_ret = errno;
		if (errno != ENOENT)
			return ZC_EOS;
		status = zc_make_parents(lock->path, root, errno_ret);
		if (status != ZC_OK)
			return status;
	}
	return ZC_EOS;
}

/* With flock. */

static int is_refusal(int error_number)
{
	return error_number == ENOLCK || error_number == ENOTSUP || error_number == EOPNOTSUPP || error_number == ENOSYS ||
	       error_number == EINVAL;
}

/* Whether the open file is still the one of that name. */
static int is_current(const zc_file_lock *lock)
{
	struct stat open_one, named;

	return fstat(lock->fd, &open_one) == 0 && lstat(lock->path, &named) == 0 && open_one.st_dev == named.st_dev &&
	       open_one.st_ino == named.st_ino;
}

static int is_given_up(const zc_file_lock_wait *wait)
{
	return wait->give_up != NULL && wait->give_up(wait->context);
}

/* Sleep, longer each time. */
static void pause_a_while(uint64_t *sleep_ns_io, uint64_t most_ns)
{
	struct timespec pause = { 0, (long)*sleep_ns_io };

	(void)nanosleep(&pause, NULL);
	*sleep_ns_io = *sleep_ns_io * 2 < most_ns ? *sleep_ns_io * 2 : most_ns;
}

/*
 * ZC_EUNSUPPORTED where flock is refused.  A signal ends flock on the main thread, which gets the signals; there the system
 * queues who waits.  Other threads try again and again, so as to see that they are to give up.
 */
static zc_status flock_fd(int fd, const zc_file_lock_wait *wait, int *errno_ret)
{
	int is_main = zc_is_main_thread();
	uint64_t sleep_ns = FIRST_SLEEP_NS;

	if (__atomic_load_n(&refuse_flock, __ATOMIC_RELAXED))
		return ZC_EUNSUPPORTED;
	while (flock(fd, is_main ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
		if (errno != EINTR && errno != EWOULDBLOCK) {
			*errno_ret = errno;
			return is_refusal(errno) ? ZC_EUNSUPPORTED : ZC_EOS;
		}
		if (is_given_up(wait))
			return ZC_ECANCELLED;
		if (!is_main)
			pause_a_while(&sleep_ns, MAX_FLOCK_SLEEP_NS);
	}
	return ZC_OK;
}

static zc_status acquire_by_flock(zc_file_lock *lock, size_t root, const zc_file_lock_wait *wait, int *errno_ret)
{
	for (;;) {
		zc_status status = make_file(lock, root, open_listed, errno_ret);

		if (status != ZC_OK)
			return status;
		status = flock_fd(lock->fd, wait, errno_ret);
		/* Its last holder may have removed it while we waited. */
		if (status == ZC_OK && is_current(lock))
			return ZC_OK;
		if (status == ZC_EUNSUPPORTED && is_current(lock))
			(void)unlink(lock->path);
		close_listed(lock);
		if (status != ZC_OK)
			return status;
	}
}

static void release_flock(zc_file_lock *lock)
{
	if (is_current(lock))
		(void)unlink(lock->path);
	/* Closing is not enough where a child was forked but has not come to closing its copy. */
	(void)flock(lock->fd, LOCK_UN);
	close_listed(lock);
}

/* Without flock: the lock's path ends in EXCLUSIVE_SUFFIX. */

typedef struct owner {
	char text[OWNER_NBYTES];
} owner;

/* When a process of this machine began, as the system counts it; 0 if it does not tell. */
static unsigned long long began(long pid)
{
#ifdef __linux__
	char path[64], text[1024];
	const char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The program's name is in parentheses and may hold anything; the 20th word after it is the time. */
	at = strrchr(text, ')');
	for (int i = 0; i < 20 && at != NULL; i++)
		at = strchr(at + 1, ' ');
	return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
#else
	(void)pid;
	return 0;
#endif
}

/* What all processes of this machine that can see each other have in common. */
static void name_machine(owner *machine)
{
	char host[256] = "", space[64] = "";
#ifdef __linux__
	ssize_t n = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);

	space[n > 0 ? n : 0] = '\0';
#endif
	if (gethostname(host, sizeof(host)) != 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	snprintf(machine->text, sizeof(machine->text), "%s %s", host, space);
}

static int make_exclusively(zc_file_lock *lock)
{
	owner me, machine;
	size_t nbytes;
	int fd, failure = 0;

	do
		fd = open(lock->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -1;
	name_machine(&machine);
	/* The process first: it never has a space in it, a machine's name may. */
	snprintf(me.text, sizeof(me.text), "%ld %llu ", (long)getpid(), began((long)getpid()));
	nbytes = strlen(me.text);
	snprintf(me.text + nbytes, sizeof(me.text) - nbytes, "%s", machine.text);
	nbytes = strlen(me.text);
	if (write(fd, me.text, nbytes) != (ssize_t)nbytes)
		failure = errno != 0 ? errno : EIO;
	if (close(fd) != 0 && errno != EINTR && failure == 0)
		failure = errno;
	if (failure == 0)
		return 0;
	(void)unlink(lock->path);
	errno = failure;
	return -1;
}

/* Who made the file; no text if it does not say. */
static void read_owner(const char *path, owner *found)
{
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	found->text[0] = '\0';
	if (fd < 0)
		return;
	n = read(fd, found->text, sizeof(found->text) - 1);
	close(fd);
	found->text[n > 0 ? n : 0] = '\0';
}

/* Whether the file was made by a process of this machine that is dead, also if another one has its number now. */
static int is_of_the_dead(const char *path)
{
	owner found, machine;
	char *rest = NULL;
	unsigned long long then, now;
	long pid;

	read_owner(path, &found);
	name_machine(&machine);
	pid = strtol(found.text, &rest, 10);
	if (pid <= 0 || pid > INT_MAX || *rest != ' ')
		return 0;
	then = strtoull(rest + 1, &rest, 10);
	if (*rest != ' ' || strcmp(rest + 1, machine.text) != 0)
		return 0;
	if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
		return 1;
	now = began(pid);
	return then != 0 && now != 0 && then != now;
}

/* What is said of a time-out.  Static, so that it outlives the thread; of two at once, one is told of. */
static char timeout_text[PATH_MAX + 2 * OWNER_NBYTES];

static void tell_of_timeout(const char *path)
{
	owner found;

	read_owner(path, &found);
	pthread_mutex_lock(&mutex);
	snprintf(timeout_text, sizeof(timeout_text),
		 "another process has the lock (its number, start and machine: %.200s); if it is gone, remove %s",
		 found.text[0] != '\0' ? found.text : "it does not say", path);
	pthread_mutex_unlock(&mutex);
}

const char *zc_file_lock_timeout_text(void)
{
	return timeout_text;
}

/*
 * Remove the lock of a dead process.  Two that see the same dead owner must not both do it: the slower one would remove the
 * lock that somebody has taken since.  So only the owner of another exclusive file may, and it looks once more: nobody else
 * can have removed the dead one's meanwhile.
 */
static void break_dead(zc_file_lock *lock)
{
	size_t nbytes = strlen(lock->path);

	if (!is_of_the_dead(lock->path))
		return;
	memcpy(lock->path + nbytes, BREAKER_SUFFIX, SUFFIX_NBYTES + 1);
	if (make_exclusively(lock) >= 0) {
		lock->path[nbytes] = '\0';
		if (is_of_the_dead(lock->path))
			(void)unlink(lock->path);
		memcpy(lock->path + nbytes, BREAKER_SUFFIX, SUFFIX_NBYTES + 1);
		(void)unlink(lock->path);
	}
	lock->path[nbytes] = '\0';
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static zc_status acquire_exclusively(zc_file_lock *lock, size_t root, const zc_file_lock_wait *wait, int *errno_ret)
{
	uint64_t since = clock_ns(), sleep_ns = FIRST_SLEEP_NS;

	memcpy(lock->path + strlen(lock->path), EXCLUSIVE_SUFFIX, SUFFIX_NBYTES + 1);
	for (;;) {
		zc_status status = make_file(lock, root, make_exclusively, errno_ret);

		if (status != ZC_EOS || *errno_ret != EEXIST)
			return status;
		break_dead(lock);
		if ((clock_ns() - since) / 1000000 >= wait->timeout_ms) {
			tell_of_timeout(lock->path);
			*errno_ret = ETIMEDOUT;
			return ZC_EOS;
		}
		if (is_given_up(wait))
			return ZC_ECANCELLED;
		pause_a_while(&sleep_ns, MAX_SLEEP_NS);
	}
}

/* Both. */

static zc_status acquire(zc_file_lock *lock, size_t root, const zc_file_lock_wait *wait, int *errno_ret)
{
	zc_status status = ZC_EUNSUPPORTED;

	if (wait->way != ZC_FILE_LOCK_EXCLUSIVE)
		status = acquire_by_flock(lock, root, wait, errno_ret);
	if (status != ZC_EUNSUPPORTED)
		return status;
	if (wait->way != ZC_FILE_LOCK_FLOCK)
		return acquire_exclusively(lock, root, wait, errno_ret);
	*errno_ret = ENOLCK;
	return ZC_EOS;
}

zc_status zc_file_lock_acquire(const char *path, size_t root, const zc_file_lock_wait *wait, zc_file_lock **lock_ret,
			       int *errno_ret)
{
	const char *slash = strrchr(path, '/');
	size_t dir_nbytes = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	size_t nbytes = strlen(path);
	zc_file_lock *lock = malloc(sizeof(*lock) + nbytes + PREFIX_NBYTES + 2 * SUFFIX_NBYTES + 1);
	zc_status status;

	pthread_once(&once, init);
	if (lock == NULL)
		return ZC_ENOMEM;
	memcpy(lock->path, path, dir_nbytes);
	memcpy(lock->path + dir_nbytes, PREFIX, PREFIX_NBYTES);
	memcpy(lock->path + dir_nbytes + PREFIX_NBYTES, path + dir_nbytes, nbytes - dir_nbytes + 1);
	lock->fd = -1;
	lock->next = NULL;
	lock->pid = getpid();
	status = acquire(lock, root, wait, errno_ret);
	if (status != ZC_OK)
		free(lock);
	else
		*lock_ret = lock;
	return status;
}

void zc_file_lock_release(zc_file_lock *lock)
{
	if (lock == NULL)
		return;
	/* In a child it is the parent's. */
	if (lock->pid == getpid()) {
		if (lock->fd >= 0)
			release_flock(lock);
		else
			(void)unlink(lock->path);
	}
	free(lock);
}

void zc_file_lock_refuse_flock(int refuse)
{
	__atomic_store_n(&refuse_flock, refuse, __ATOMIC_RELAXED);
}
