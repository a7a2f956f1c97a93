/* remove KIND [ID]...: removes the objects with these identifiers, or all of the kind, with
 * the fewest possible calls. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

static int highest(char kind)
{
	struct shm_info shm;
	struct msginfo msg;
	struct seminfo sem;

	switch (kind) {
	case 'h':
		return shmctl(0, SHM_INFO, (void *)&shm);
	case 's':
		return msgctl(0, MSG_INFO, (void *)&msg);
	default:
		return semctl(0, 0, SEM_INFO, &sem);
	}
}

static int at(char kind, int index)
{
	struct shmid_ds shm;
	struct msqid_ds msg;
	struct semid_ds sem;

	switch (kind) {
	case 'h':
		return shmctl(index, SHM_STAT, &shm);
	case 's':
		return msgctl(index, MSG_STAT, &msg);
	default:
		return semctl(index, 0, SEM_STAT, &sem);
	}
}

static int removed(char kind, int id)
{
	switch (kind) {
	case 'h':
		return shmctl(id, IPC_RMID, NULL) == 0;
	case 's':
		return msgctl(id, IPC_RMID, NULL) == 0;
	default:
		return semctl(id, 0, IPC_RMID) == 0;
	}
}

int main(int argc, char **argv)
{
	char kind = argv[1][1]; /* the second letter of shm, msg or sem */

	for (int i = 2; i < argc; i++)
		if (!removed(kind, atoi(argv[i])))
			return 1;
	if (argc > 2)
		return 0;
	int top = highest(kind);
	for (int index = 0; index <= top; index++) {
		int id = at(kind, index);
		if (id >= 0 && !removed(kind, id))
			return 1;
	}
	return 0;
}
