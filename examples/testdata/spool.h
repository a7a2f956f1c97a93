// The names and the memory layout that the logger and its clients share, and functions to
// open the objects.
#ifndef SPOOL_H
#define SPOOL_H

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 10, SLOT_SIZE = 256 };

struct spool {
	char slot[SLOTS][SLOT_SIZE]; // texts, each with its final zero
	int fill;                    // the slot that the next client fills
	int log;                     // the slot that is logged next
};

static const char spool_name[] = "/posix-shared-mem-example";
static const char mutex_name[] = "/sem-mutex";          // 1 while no client fills a slot
static const char free_name[] = "/sem-buffer-count";    // slots that may be filled
static const char waiting_name[] = "/sem-spool-signal"; // slots that wait to be logged

// must ends the program if a call failed.
static inline void must(int ok, const char *call)
{
	if (!ok) {
		perror(call);
		exit(EXIT_FAILURE);
	}
}

static inline struct spool *map_spool(int fd)
{
	void *mem = mmap(NULL, sizeof(struct spool), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(mem != MAP_FAILED, "mmap");
	close(fd);
	return mem;
}

#endif
