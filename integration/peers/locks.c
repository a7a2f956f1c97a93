/* locks ID NUM...: subtracts 1 with SEM_UNDO from each of these semaphores of the set in
 * turn. After each it prints "has NUM" and waits for a line. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/sem.h>

int main(int argc, char **argv) {
	char line[8];
	for (int i = 2; i < argc; i++) {
		struct sembuf take = {atoi(argv[i]), -1, SEM_UNDO};
		if (semop(atoi(argv[1]), &take, 1) < 0) {
			perror("semop");
			return 1;
		}
		printf("has %s\n", argv[i]);
		fflush(stdout);
		if (!fgets(line, sizeof line, stdin))
			break;
	}
	return 0;
}
