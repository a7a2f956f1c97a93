// A page under key 123 that sender and receiver use without any synchronization.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

enum { PAGE = 4096 };

static inline char *attach(void)
{
	int id = shmget(123, PAGE, IPC_CREAT | 0664);
	char *page = shmat(id, NULL, 0);
	if (id == -1 || page == (char *)-1) {
		perror("race");
		exit(EXIT_FAILURE);
	}
	return page;
}
