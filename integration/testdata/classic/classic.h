// Shared by reader and writer of the classic protocol: a segment of one page under key
// 1234, and a set of one semaphore under key 6666 that counts the unread lines.
#include "sem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

enum { PAGE = 4096 };

static inline int must(int result, const char *call)
{
	if (result == -1) {
		perror(call);
		exit(EXIT_FAILURE);
	}
	return result;
}

static inline char *attach(int shmid)
{
	char *mem = shmat(shmid, NULL, 0);
	must(mem == (char *)-1 ? -1 : 0, "shmat");
	printf("Memory attached at %p\n", mem);
	return mem;
}

static inline int open_set(void)
{
	return must(semget(6666, 1, IPC_CREAT | 0666), "semget");
}

static inline int is_end(const char *line)
{
	return strncmp(line, "end", 3) == 0;
}
