/*
crowd PROCESSES MAPPINGS DESCRIPTORS THREADS FILE [SEGMENT]: starts the given number of
processes. Each has the given numbers of mappings and descriptors of FILE and of further
threads, and is attached to SEGMENT. If SEGMENT is "shared", the processes share one
address space and one descriptor table instead.
*/
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <unistd.h>

static int threads, ready[2];

static void *idle(void *unused)
{
	for (;;)
		pause();
	return 0;
}

static int life(void *unused)
{
	pthread_attr_t small;
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (threads) {
		pthread_attr_init(&small);
		pthread_attr_setstacksize(&small, 16384);
		for (int i = 0; i < threads; i++)
			if (pthread_create(&t, &small, idle, 0))
				_exit(1);
	}
	if (write(ready[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
	return 0;
}

int main(int argc, char **argv)
{
	int processes = atoi(argv[1]), mappings = atoi(argv[2]), descriptors = atoi(argv[3]);
	int shared = argc > 6 && !strcmp(argv[6], "shared");
	struct rlimit many = {descriptors + 20, descriptors + 20};
	char *base = (char *)0x100000000000UL, *stacks, c;
	int fd;

	threads = atoi(argv[4]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (descriptors)
		setrlimit(RLIMIT_NOFILE, &many);
	if ((fd = open(argv[5], O_RDONLY)) < 0 || pipe(ready))
		return 1;
	for (long i = 0; i < mappings; i++)
		if (mmap(base + i * 8192, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			return 1;
	for (int i = 0; i < descriptors; i++)
		if (dup(fd) < 0)
			return 1;
	if (argc > 6 && !shared && shmat(atoi(argv[6]), 0, 0) == (void *)-1)
		return 1;
	stacks = mmap(0, processes * 16384L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
	for (int i = 0; i < processes; i++) {
		int pid = shared ? clone(life, stacks + (i + 1) * 16384L, CLONE_VM | CLONE_FILES | SIGCHLD, 0) : fork();
		if (pid < 0)
			return 1;
		if (pid == 0)
			life(0);
	}
	for (int i = 0; i < processes; i++)
		if (read(ready[0], &c, 1) != 1)
			return 1;
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
