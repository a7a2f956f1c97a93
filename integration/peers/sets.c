/* sets stay N: makes N semaphore sets and uses them, prints "ready", and at the end of
 * its input uses them once more, removes them and prints how many it could not use.
 * sets leave N: makes N sets, uses them, and leaves them behind.
 * sets churn ID: makes and removes sets under one identifier, alternately of mode 0600
 * and 0644, until its input ends. Then it prints how many rounds there were and how many
 * sets of mode 0644 another process removed. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <unistd.h>

static void die(const char *what) {
	perror(what);
	exit(1);
}

static int use(int id) {
	struct sembuf op = {0, 1, 0};
	return semop(id, &op, 1);
}

static int input_ended(int timeout) {
	struct pollfd in = {0, POLLIN, 0};
	char c;
	return poll(&in, 1, timeout) != 0 && read(0, &c, 1) <= 0;
}

static int keep(int n, int stay) {
	int *ids = calloc(n, sizeof *ids), lost = 0;
	for (int i = 0; i < n; i++)
		if ((ids[i] = semget(IPC_PRIVATE, 2, 0600)) < 0 || use(ids[i]) < 0)
			die("semget or semop");
	if (!stay)
		return 0;
	puts("ready");
	fflush(stdout);
	while (!input_ended(-1))
		;
	for (int i = 0; i < n; i++)
		lost += use(ids[i]) < 0 || semctl(ids[i], 0, IPC_RMID) < 0;
	printf("lost %d\n", lost);
	return 0;
}

static int churn(const char *id) {
	int next = open("/proc/sys/kernel/sem_next_id", O_WRONLY), rounds = 0, lost = 0;
	if (next < 0 || pwrite(next, id, strlen(id), 0) < 0)
		die("/proc/sys/kernel/sem_next_id");
	puts("ready");
	fflush(stdout);
	for (; !input_ended(0); rounds++)
		for (int mode = 0600; mode <= 0644; mode += 044) {
			if (pwrite(next, id, strlen(id), 0) < 0)
				die("sem_next_id");
			int got = semget(IPC_PRIVATE, 1, mode);
			if (got != atoi(id))
				die("semget: another identifier");
			if (semctl(got, 0, IPC_RMID) < 0 && mode == 0644)
				lost++;
		}
	printf("rounds %d lost %d\n", rounds, lost);
	return 0;
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	if (!strcmp(argv[1], "churn"))
		return churn(argv[2]);
	return keep(atoi(argv[2]), !strcmp(argv[1], "stay"));
}
