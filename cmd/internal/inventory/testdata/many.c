/* many PROCESSES EACH ID...: starts PROCESSES processes. Each attaches EACH segments, taken
 * from the list in turn. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int processes = atoi(argv[1]), each = atoi(argv[2]), segments = argc - 3, next = 0;
	int ready[2];
	char byte = 0;
	if (pipe(ready)) {
		perror("pipe");
		return 1;
	}
	for (int i = 0; i < processes; i++) {
		switch (fork()) {
		case -1:
			perror("fork");
			return 1;
		case 0:
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (int j = 0; j < each; j++)
				if (shmat(atoi(argv[3 + (next + j) % segments]), NULL, j % 2 ? SHM_RDONLY : 0) == (void *)-1) {
					perror("shmat");
					return 1;
				}
			if (write(ready[1], &byte, 1) == 1)
				for (;;)
					pause();
			return 1;
		}
		next += each;
	}
	for (int i = 0; i < processes; i++)
		if (read(ready[0], &byte, 1) != 1)
			return 1;
	puts("ready");
	fflush(stdout);
	return read(0, &byte, 1) != 0;
}
