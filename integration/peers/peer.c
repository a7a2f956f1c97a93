// peer is the other side of the interoperability tests. Each run does one thing
// to System V objects.
//
//	peer shm-make KEY SIZE TEXT     make a segment that holds TEXT; print its id
//	peer shm-read KEY               print the text of a segment, and its size
//	peer sem-make KEY VALUE...      make a set with these values; print its id
//	peer sem-read KEY               print the values
//	peer sem-op KEY NUM ADD         one operation
//	peer sem-wait KEY NUM           print "waiting", take one, print "taken"
//	peer msg-make KEY               make a queue; print its id
//	peer msg-send KEY TYPE TEXT
//	peer msg-receive KEY TYPE       print type and text
//	peer rm KIND KEY                remove it: shm, sem or msg
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

struct message {
	long type;
	char text[8192];
};

static long check(long r, const char *what)
{
	if (r == -1) {
		perror(what);
		exit(1);
	}
	return r;
}

static int number_of_semaphores(int id)
{
	struct semid_ds ds;
	union semun arg = {.buf = &ds};
	check(semctl(id, 0, IPC_STAT, arg), "semctl");
	return (int)ds.sem_nsems;
}

static void shm(const char *what, key_t key, char **arg)
{
	if (!strcmp(what, "shm-make")) {
		int id = (int)check(shmget(key, (size_t)atol(arg[0]), IPC_CREAT | IPC_EXCL | 0600), "shmget");
		char *mem = shmat(id, NULL, 0);
		check((long)mem, "shmat");
		strcpy(mem, arg[1]);
		printf("%d\n", id);
	} else {
		struct shmid_ds ds;
		int id = (int)check(shmget(key, 0, 0), "shmget");
		char *mem = shmat(id, NULL, SHM_RDONLY);
		check((long)mem, "shmat");
		check(shmctl(id, IPC_STAT, &ds), "shmctl");
		printf("%s %lu\n", mem, (unsigned long)ds.shm_segsz);
	}
}

static void sem(const char *what, key_t key, int n, char **arg)
{
	union semun value;
	if (!strcmp(what, "sem-make")) {
		int id = (int)check(semget(key, n, IPC_CREAT | IPC_EXCL | 0600), "semget");
		for (int i = 0; i < n; i++) {
			value.val = atoi(arg[i]);
			check(semctl(id, i, SETVAL, value), "SETVAL");
		}
		printf("%d\n", id);
		return;
	}
	int id = (int)check(semget(key, 0, 0), "semget");
	if (!strcmp(what, "sem-read")) {
		for (int i = 0, many = number_of_semaphores(id); i < many; i++)
			printf("%s%ld", i ? " " : "", check(semctl(id, i, GETVAL), "GETVAL"));
		printf("\n");
	} else if (!strcmp(what, "sem-op")) {
		struct sembuf op = {.sem_num = atoi(arg[0]), .sem_op = atoi(arg[1])};
		check(semop(id, &op, 1), "semop");
	} else {
		struct sembuf op = {.sem_num = atoi(arg[0]), .sem_op = -1};
		printf("waiting\n");
		fflush(stdout);
		check(semop(id, &op, 1), "semop");
		printf("taken\n");
	}
}

static void msg(const char *what, key_t key, char **arg)
{
	struct message m;
	if (!strcmp(what, "msg-make")) {
		printf("%ld\n", check(msgget(key, IPC_CREAT | IPC_EXCL | 0600), "msgget"));
		return;
	}
	int id = (int)check(msgget(key, 0), "msgget");
	if (!strcmp(what, "msg-send")) {
		m.type = atol(arg[0]);
		strcpy(m.text, arg[1]);
		check(msgsnd(id, &m, strlen(arg[1]), 0), "msgsnd");
	} else {
		long n = check(msgrcv(id, &m, sizeof m.text, atol(arg[0]), 0), "msgrcv");
		printf("%ld %.*s\n", m.type, (int)n, m.text);
	}
}

static void rm(const char *kind, key_t key)
{
	if (!strcmp(kind, "shm"))
		check(shmctl((int)check(shmget(key, 0, 0), "shmget"), IPC_RMID, NULL), "IPC_RMID");
	else if (!strcmp(kind, "sem"))
		check(semctl((int)check(semget(key, 0, 0), "semget"), 0, IPC_RMID), "IPC_RMID");
	else
		check(msgctl((int)check(msgget(key, 0), "msgget"), IPC_RMID, NULL), "IPC_RMID");
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "rm")) {
		rm(argv[2], (key_t)strtoul(argv[3], NULL, 0));
		return 0;
	}
	key_t key = (key_t)strtoul(argv[2], NULL, 0);
	if (!strncmp(argv[1], "shm", 3))
		shm(argv[1], key, argv + 3);
	else if (!strncmp(argv[1], "sem", 3))
		sem(argv[1], key, argc - 3, argv + 3);
	else
		msg(argv[1], key, argv + 3);
	return 0;
}
