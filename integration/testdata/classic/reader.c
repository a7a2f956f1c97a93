// The reader starts first. It prints the writer's lines, up to and including one that
// begins with "end", and removes both objects.
#include "classic.h"

int main(void)
{
	int shmid = must(shmget(1234, PAGE, IPC_CREAT | 0666), "shmget");
	char *line = attach(shmid);
	int semid = open_set();
	must(init_sem(semid, 0), "SETVAL");
	do {
		must(sem_p(semid), "semop");
		printf("You wrote: %s", line);
	} while (!is_end(line));
	must(del_sem(semid), "remove the set");
	must(shmdt(line), "shmdt");
	must(shmctl(shmid, IPC_RMID, NULL), "remove the segment");
	return 0;
}
