// prefork MASTER WORKER KEY: a server that runs as user MASTER. Its worker runs as user
// WORKER, makes a set under KEY, uses it, prints the identifier and ends. The server stays.
#include <stdio.h>
#include <stdlib.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 4 || setgid(atoi(argv[1])) || setuid(atoi(argv[1])))
		return 1;
	if (fork() == 0) {
		if (atoi(argv[2]) != getuid() && setuid(atoi(argv[2])))
			_exit(1);
		struct sembuf up = {0, 1, 0};
		int set = semget(atoi(argv[3]), 1, 0600 | IPC_CREAT);
		if (set < 0 || semop(set, &up, 1))
			_exit(1);
		printf("%d\n", set);
		fflush(stdout);
		_exit(0);
	}
	wait(0);
	puts("resting");
	fflush(stdout);
	getchar();
}
