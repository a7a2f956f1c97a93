/* leaker.c: creates a segment of as many bytes for each line that it reads, and prints
 * its identifier. It removes none. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
	int c;

	while (argc == 2 && (c = getchar()) != EOF) {
		if (c != '\n')
			continue;
		printf("%d\n", shmget(IPC_PRIVATE, strtoul(argv[1], NULL, 0), 0600));
		fflush(stdout);
	}
	return 0;
}
