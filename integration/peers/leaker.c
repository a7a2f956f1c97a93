/* leaker BYTES: for each line that it reads, it creates a segment of BYTES bytes and
 * prints the identifier. It removes none. */
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
