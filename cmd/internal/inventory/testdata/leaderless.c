/* Attaches a segment and ends the first thread. A second thread stays. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

static void *stay(void *unused)
{
	(void)unused;
	char byte;
	exit(read(0, &byte, 1) != 0);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	if (argc != 2 || shmat(atoi(argv[1]), NULL, 0) == (void *)-1 || pthread_create(&thread, NULL, stay, NULL)) {
		perror("leaderless");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	pthread_exit(NULL);
}
