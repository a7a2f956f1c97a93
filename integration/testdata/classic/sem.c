#include "sem.h"

#include <stdio.h>
#include <sys/sem.h>

#ifndef UNDO
#define UNDO 0 // or SEM_UNDO, as many textbooks have it
#endif

union semun {
	int val;
};

// The tests read the output through a pipe and need each line at once.
__attribute__((constructor)) static void print_lines_at_once(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static int add(int semid, int n)
{
	struct sembuf op = {.sem_num = 0, .sem_op = n, .sem_flg = UNDO};
	return semop(semid, &op, 1);
}

int init_sem(int semid, int value)
{
	union semun arg = {.val = value};
	return semctl(semid, 0, SETVAL, arg);
}

int sem_p(int semid)
{
	return add(semid, -1);
}

int sem_v(int semid)
{
	return add(semid, +1);
}

int del_sem(int semid)
{
	return semctl(semid, 0, IPC_RMID);
}
