// Waits for a semaphore that nobody increments.
#include <sys/ipc.h>
#include <sys/sem.h>

int main(void)
{
	return semop(semget(IPC_PRIVATE, 1, 0600), &(struct sembuf){0, -1, 0}, 1);
}
