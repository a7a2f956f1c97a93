/* The benchmarks' work in C: uncontended P and V, and ping-pong by blocking semop(2).
 *
 *	peer pv ROUNDS                 one process, P then V
 *	peer pingpong ROUNDS CPU CPU   two processes, each pinned to its CPU
 *	peer buffer ROUNDS CPU CPU     ten slots of 256 bytes, three semaphores
 *
 * Prints the nanoseconds that one round took. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int set;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void op(int num, int n)
{
	struct sembuf b = { num, n, 0 };

	if (semop(set, &b, 1) != 0)
		fail("semop");
}

static void pin(int cpu)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	CPU_SET(cpu, &mask);
	if (sched_setaffinity(0, sizeof mask, &mask) != 0)
		fail("sched_setaffinity");
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void pv(long rounds)
{
	op(0, 1);
	for (long i = 0; i < rounds; i++) {
		op(0, -1);
		op(0, 1);
	}
}

static void pong(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		op(0, -1);
		op(1, 1);
	}
}

static void ping(long rounds)
{
	for (long i = 0; i < rounds; i++) {
		op(0, 1);
		op(1, -1);
	}
}

/* The bounded buffer: semaphore 0 guards the indices, 1 counts free slots, 2 full. */
enum { SLOTS = 10, SIZE = 256 };

struct buffer {
	char slot[SLOTS][SIZE];
	int in, out;
};

static struct buffer *shared;

static void produce(long rounds)
{
	char message[SIZE];

	for (long i = 0; i < rounds; i++) {
		memset(message, (int)i, SIZE);
		op(1, -1);
		op(0, -1);
		memcpy(shared->slot[shared->in], message, SIZE);
		shared->in = (shared->in + 1) % SLOTS;
		op(0, 1);
		op(2, 1);
	}
}

static void consume(long rounds)
{
	char message[SIZE];

	for (long i = 0; i < rounds; i++) {
		op(2, -1);
		op(0, -1);
		memcpy(message, shared->slot[shared->out], SIZE);
		shared->out = (shared->out + 1) % SLOTS;
		op(0, 1);
		op(1, 1);
		if (message[0] != (char)i || message[SIZE - 1] != (char)i) {
			fprintf(stderr, "message %ld is wrong\n", i);
			exit(1);
		}
	}
}

static void both(char **argv, long rounds, void (*child)(long), void (*parent)(long))
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		pin(atoi(argv[4]));
		child(rounds);
		_exit(0);
	}
	pin(atoi(argv[3]));
	parent(rounds);
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		fail("the other process");
}

int main(int argc, char **argv)
{
	long rounds;
	double began;

	if (argc < 3 || (strcmp(argv[1], "pv") != 0 && argc < 5))
		return 2;
	rounds = atol(argv[2]);
	set = semget(IPC_PRIVATE, 3, 0600);
	if (set < 0)
		fail("semget");
	began = now();
	if (strcmp(argv[1], "pv") == 0) {
		pv(rounds);
	} else if (strcmp(argv[1], "pingpong") == 0) {
		both(argv, rounds, pong, ping);
	} else {
		int seg = shmget(IPC_PRIVATE, sizeof *shared, 0600);

		if (seg < 0 || (shared = shmat(seg, NULL, 0)) == (void *)-1)
			fail("shmat");
		shmctl(seg, IPC_RMID, NULL);
		op(0, 1);
		op(1, SLOTS);
		both(argv, rounds, consume, produce);
	}
	printf("%.1f\n", (now() - began) / rounds);
	semctl(set, 0, IPC_RMID);
	return 0;
}
