/*
busy WHAT ID INTERVAL: prints a line and then uses a queue or a semaphore set as ordinary
programs do. The last users that the kernel has recorded for the object have ended.

  msg, sem        waits in msgrcv or semop, which a timer's signal interrupts every
                  INTERVAL microseconds; the handler is busy for a while
  sleepy          as msg, and the handler sleeps for a moment
  thread          as msg, in a thread of its own
  workers         some process always waits on the queue; every INTERVAL microseconds
                  another process replaces it
  compute         computes, and does not use the object
*/
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int id, sleepy;
static volatile unsigned long sink;

static void handler(int sig)
{
	struct timespec moment = {0, 20000};
	int e = errno;

	for (volatile int i = 0; i < 2000; i++)
		sink += i;
	if (sleepy)
		nanosleep(&moment, 0);
	errno = e;
}

static void tick(long us)
{
	struct itimerval every = {{us / 1000000, us % 1000000}, {us / 1000000, us % 1000000}};
	struct sigaction a;

	memset(&a, 0, sizeof a);
	a.sa_handler = handler;
	sigaction(SIGALRM, &a, 0);
	setitimer(ITIMER_REAL, &every, 0);
}

static void *receive(void *unused)
{
	struct { long type; char text[8]; } m;

	while (msgrcv(id, &m, sizeof m.text, 0, 0) >= 0 || errno == EINTR)
		;
	return 0;
}

static void say(void)
{
	printf("busy\n");
	fflush(stdout);
}

static void workers(long us)
{
	int ready[2];
	pid_t last = 0, parent = getpid();
	char c;

	if (pipe(ready) != 0)
		exit(1);
	for (long n = 0;; n++) {
		pid_t p = fork();
		if (p == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent) /* it ended before prctl */
				_exit(1);
			if (write(ready[1], "x", 1) != 1)
				_exit(1);
			receive(0);
			_exit(0);
		}
		if (read(ready[0], &c, 1) != 1) /* the child runs and is about to wait */
			exit(1);
		usleep(us);
		if (last) {
			kill(last, SIGKILL);
			waitpid(last, 0, 0);
		}
		last = p;
		if (n == 0)
			say();
	}
}

int main(int argc, char **argv)
{
	struct sembuf down = {0, -1, 0};
	const char *what = argv[1];
	long us = atol(argv[3]);
	pthread_t t;

	id = atoi(argv[2]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!strcmp(what, "workers"))
		workers(us);
	say();
	if (!strcmp(what, "compute"))
		for (;;)
			sink++;
	sleepy = !strcmp(what, "sleepy");
	tick(us);
	if (!strcmp(what, "sem"))
		while (semop(id, &down, 1) == 0 || errno == EINTR)
			;
	if (!strcmp(what, "thread")) {
		pthread_create(&t, 0, receive, 0);
		pthread_join(t, 0);
	}
	receive(0);
	return 0;
}
