// strayed QUEUE USER: a thread that acts as user USER waits on a queue, while the first
// thread moves to another IPC namespace. If QUEUE is negative, both threads only stay.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *stay(void *args)
{
	int queue = atoi(((char **)args)[1]), user = atoi(((char **)args)[2]);
	struct {
		long type;
		char text[8];
	} message;
	if (user != 0 && syscall(SYS_setresuid, user, user, user)) {
		perror("setresuid");
		exit(1);
	}
	puts("stays");
	fflush(stdout);
	if (queue < 0)
		pause();
	msgrcv(queue, &message, sizeof message.text, 0, 0);
	exit(0);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	if (argc != 3 || pthread_create(&thread, NULL, stay, argv) ||
	    (atoi(argv[1]) >= 0 && unshare(CLONE_NEWIPC))) {
		perror("strayed");
		return 1;
	}
	puts("moved");
	fflush(stdout);
	pause();
}
