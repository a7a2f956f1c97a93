/* Attaches a segment, moves to an IPC namespace of its own, and stays. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2 || shmat(atoi(argv[1]), NULL, 0) == (void *)-1 || unshare(CLONE_NEWIPC)) {
		perror("moved");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	char byte;
	return read(0, &byte, 1) != 0;
}
