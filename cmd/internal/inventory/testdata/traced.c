/* traced ID: traces a child, stops it at the entry of msgrcv, and prints its pid. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int id = atoi(argv[1]), status;
	char text[64];
	pid_t child;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((child = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		syscall(SYS_msgrcv, id, text, 32, 0L, 0);
		_exit(1);
	}
	waitpid(child, &status, 0);
	for (;;) {
		long call = -1;
		char path[64];
		FILE *f;

		if (ptrace(PTRACE_SYSCALL, child, 0, 0) || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			return 1;
		snprintf(path, sizeof path, "/proc/%d/syscall", child);
		if ((f = fopen(path, "r"))) {
			if (fscanf(f, "%ld", &call) != 1)
				call = -1;
			fclose(f);
		}
		if (call == SYS_msgrcv)
			break;
	}
	printf("%d\n", child);
	fflush(stdout);
	for (;;)
		pause();
}
