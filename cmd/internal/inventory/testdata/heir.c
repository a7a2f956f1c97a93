// heir UID: as user UID, makes a set, uses it, and prints its identifier. At the next byte
// of input it forks a child that stays, and ends itself.
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sem.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sembuf up = {0, 1, 0};
	if (argc != 2 || setgid(atoi(argv[1])) || setuid(atoi(argv[1])))
		return 1;
	int set = semget(IPC_PRIVATE, 1, 0600);
	if (set < 0 || semop(set, &up, 1)) {
		perror("heir");
		return 1;
	}
	printf("%d\n", set);
	fflush(stdout);
	getchar();
	pid_t parent = getpid();
	if (fork() != 0)
		_exit(0);
	while (getppid() == parent)
		sched_yield();
	puts("stays");
	fflush(stdout);
	getchar();
}
