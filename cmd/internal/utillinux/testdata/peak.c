/* Runs a program, discards its output, and prints its peak memory in KiB. If a Go program
 * started it, the peak would include the Go program's memory, which the child shares until
 * it calls exec. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;

	(void)argc;
	switch (fork()) {
	case -1:
		return 1;
	case 0:
		if (dup2(open("/dev/null", O_WRONLY), 1) == 1)
			execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (wait(&status) < 0 || status != 0 || getrusage(RUSAGE_CHILDREN, &usage) != 0)
		return 1;
	printf("%ld\n", usage.ru_maxrss);
	return 0;
}
