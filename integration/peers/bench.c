// bench OPERATION N repeats an operation N times and prints how many nanoseconds of
// processor time that took. OPERATION is attach (and detach 4 KiB), semop (P and V), stat
// (IPC_STAT) or message (send and receive 64 bytes).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

static long long now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void check(long r, const char *what)
{
	if (r == -1) {
		perror(what);
		exit(1);
	}
}

static long long attach(int n)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600);
	check(id, "shmget");
	long long start = now();
	for (int i = 0; i < n; i++) {
		void *mem = shmat(id, NULL, 0);
		check((long)mem, "shmat");
		check(shmdt(mem), "shmdt");
	}
	long long took = now() - start;
	check(shmctl(id, IPC_RMID, NULL), "IPC_RMID");
	return took;
}

static long long stat(int n)
{
	struct shmid_ds ds;
	int id = shmget(IPC_PRIVATE, 4096, 0600);
	check(id, "shmget");
	long long start = now();
	for (int i = 0; i < n; i++)
		check(shmctl(id, IPC_STAT, &ds), "IPC_STAT");
	long long took = now() - start;
	check(shmctl(id, IPC_RMID, NULL), "IPC_RMID");
	return took;
}

static long long semaphore(int n)
{
	struct sembuf p = {.sem_op = -1}, v = {.sem_op = 1};
	int id = semget(IPC_PRIVATE, 1, 0600);
	check(id, "semget");
	check(semop(id, &v, 1), "semop");
	long long start = now();
	for (int i = 0; i < n; i++) {
		check(semop(id, &p, 1), "semop");
		check(semop(id, &v, 1), "semop");
	}
	long long took = now() - start;
	check(semctl(id, 0, IPC_RMID), "IPC_RMID");
	return took;
}

static long long message(int n)
{
	struct {
		long type;
		char text[64];
	} m = {.type = 1};
	int id = msgget(IPC_PRIVATE, 0600);
	check(id, "msgget");
	long long start = now();
	for (int i = 0; i < n; i++) {
		check(msgsnd(id, &m, sizeof m.text, 0), "msgsnd");
		check(msgrcv(id, &m, sizeof m.text, 0, 0), "msgrcv");
	}
	long long took = now() - start;
	check(msgctl(id, IPC_RMID, NULL), "IPC_RMID");
	return took;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		long long (*run)(int);
	} operations[] = {{"attach", attach}, {"stat", stat}, {"semop", semaphore}, {"message", message}};

	for (size_t i = 0; argc == 3 && i < sizeof operations / sizeof *operations; i++)
		if (!strcmp(argv[1], operations[i].name)) {
			printf("%lld\n", operations[i].run(atoi(argv[2])));
			return 0;
		}
	return 2;
}
