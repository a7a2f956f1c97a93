/* Functions that the test programs in C share. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

static inline void die(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-err));
	exit(1);
}

/* must ends the program if a call has failed. */
static inline int must(const char *what, int result)
{
	if (result < 0)
		die(what, result);
	return result;
}

static inline int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline void fill(char *p, uint64_t i, uint64_t n)
{
	uint64_t j = 0;
	if (n >= 8) {
		memcpy(p, &i, 8);
		j = 8;
	}
	for (; j < n; j++)
		p[j] = (char)(i * 31 + j);
}

/* map_fd maps the file of a descriptor. */
static inline void *map_fd(int fd, uint64_t *size)
{
	struct stat st;
	void *mem;
	if (fstat(fd, &st))
		die("fstat", -errno);
	*size = (uint64_t)st.st_size;
	mem = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		die("mmap", -errno);
	return mem;
}

static int failed;

static inline void expect(const char *what, int got, int want)
{
	if (got == want)
		return;
	fprintf(stderr, "%s = %d (%s), want %d\n", what, got, got < 0 ? strerror(-got) : "", want);
	failed = 1;
}
