/* The ways of moving data with which shmring is compared, each between new processes.
 * Prints "UNITS NANOSECONDS", from the first unit that arrives to the last; units are
 * messages or bytes. With APART 1, each of the two processes has a processor of its
 * own; with 0, the kernel often puts both on one, where they take turns.
 *
 *   peers msg COUNT SIZE PRODUCERS   msgsnd, msgrcv
 *   peers pipe BYTES CHUNK APART     write, read
 *   peers pair BYTES CHUNK APART     one buffer, two binary semaphores
 *   peers memcpy BYTES CHUNK TOTAL   memcpy of a chunk into a buffer of TOTAL, in turn
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* pin keeps the calling process on the first processor that it may use, or the last. */
static void pin(int last)
{
	cpu_set_t all, one;
	if (sched_getaffinity(0, sizeof all, &all))
		die("sched_getaffinity");
	CPU_ZERO(&one);
	for (int cpu = 0, found = 0; cpu < CPU_SETSIZE && (last || !found); cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		found = 1;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
	}
	if (sched_setaffinity(0, sizeof one, &one))
		die("sched_setaffinity");
}

static pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent) /* the parent ended before */
			_exit(1);
	}
	return pid;
}

static void report(uint64_t units, int64_t first)
{
	printf("%llu %lld\n", (unsigned long long)units, (long long)(now() - first));
}

/* System V objects are made in an IPC namespace that ends with this process. */
static void own_namespace(void)
{
	if (unshare(CLONE_NEWIPC) && unshare(CLONE_NEWUSER | CLONE_NEWIPC)) {
		perror("unshare");
		exit(77);
	}
}

struct message {
	long type;
	char text[4096];
};

static void messages(uint64_t count, size_t size, int producers)
{
	own_namespace();
	int q = msgget(IPC_PRIVATE, 0600);
	if (q < 0)
		die("msgget");
	static struct message m = { .type = 1 };
	for (int p = 0; p < producers; p++) {
		if (child())
			continue;
		for (uint64_t i = 0; i < count / producers; i++) {
			memcpy(m.text, &i, sizeof i);
			if (msgsnd(q, &m, size, 0))
				die("msgsnd");
		}
		exit(0);
	}
	int64_t first = 0;
	count = count / producers * producers;
	for (uint64_t i = 0; i < count; i++) {
		if (msgrcv(q, &m, sizeof m.text, 0, 0) != (ssize_t)size)
			die("msgrcv");
		if (!first)
			first = now();
	}
	report(count, first);
	msgctl(q, IPC_RMID, NULL);
}

static void pipes(uint64_t bytes, size_t chunk, int apart)
{
	int p[2];
	char *buf = malloc(chunk);
	memset(buf, 1, chunk);
	if (pipe(p))
		die("pipe");
	if (!child()) {
		if (apart)
			pin(1);
		for (uint64_t left = bytes; left;) {
			ssize_t n = write(p[1], buf, left < chunk ? left : chunk);
			if (n <= 0)
				die("write");
			left -= n;
		}
		exit(0);
	}
	if (apart)
		pin(0);
	int64_t first = 0;
	for (uint64_t left = bytes; left;) {
		ssize_t n = read(p[0], buf, chunk);
		if (n <= 0)
			die("read");
		if (!first)
			first = now();
		left -= n;
	}
	report(bytes, first);
}

static void operate(int set, int num, int add)
{
	struct sembuf op = { num, add, 0 };
	if (semop(set, &op, 1))
		die("semop");
}

/* The textbook's pair of semaphores: the writer fills the only buffer, then signals;
 * the reader empties it, then signals back. */
static void pair(uint64_t bytes, size_t chunk, int apart)
{
	own_namespace();
	int set = semget(IPC_PRIVATE, 2, 0600), id = shmget(IPC_PRIVATE, chunk, 0600);
	if (set < 0 || id < 0)
		die("semget, shmget");
	char *shared = shmat(id, NULL, 0), *buf = malloc(chunk);
	if (shared == (void *)-1)
		die("shmat");
	memset(buf, 1, chunk);
	operate(set, 0, 1);
	if (!child()) {
		if (apart)
			pin(1);
		for (uint64_t done = 0; done < bytes; done += chunk) {
			operate(set, 0, -1);
			memcpy(shared, buf, chunk);
			operate(set, 1, 1);
		}
		exit(0);
	}
	if (apart)
		pin(0);
	int64_t first = 0;
	uint64_t done = 0;
	for (; done < bytes; done += chunk) {
		operate(set, 1, -1);
		if (!first)
			first = now();
		memcpy(buf, shared, chunk);
		operate(set, 0, 1);
	}
	report(done, first);
	wait(NULL);
	shmctl(id, IPC_RMID, NULL);
	semctl(set, 0, IPC_RMID);
}

static void copies(uint64_t bytes, size_t chunk, size_t total)
{
	char *from = malloc(chunk), *to = malloc(total);
	memset(from, 1, chunk);
	memset(to, 1, total);
	int64_t first = now();
	uint64_t done = 0;
	for (size_t at = 0; done < bytes; done += chunk, at = at + 2 * chunk > total ? 0 : at + chunk) {
		memcpy(to + at, from, chunk);
		__asm__ volatile("" ::: "memory");
	}
	report(done, first);
}

int main(int argc, char **argv)
{
	uint64_t n[3] = { 0 };
	for (int i = 2; i < argc && i < 5; i++)
		n[i - 2] = strtoull(argv[i], NULL, 0);
	if (argc == 5 && !strcmp(argv[1], "msg"))
		messages(n[0], n[1], n[2]);
	else if (argc == 5 && !strcmp(argv[1], "pipe"))
		pipes(n[0], n[1], n[2]);
	else if (argc == 5 && !strcmp(argv[1], "pair"))
		pair(n[0], n[1], n[2]);
	else if (argc == 5 && !strcmp(argv[1], "memcpy"))
		copies(n[0], n[1], n[2]);
	else
		return 2;
	return 0;
}
