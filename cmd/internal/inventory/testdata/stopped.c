// stopped UID QUEUE SET: stops two children that run as UID at the entry of msgrcv and
// semop, before the kernel has checked their permissions.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(long call, long id)
{
	static char text[64];
	static struct sembuf down = {0, -1, 0};
	int status;
	pid_t child = fork();
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		raise(SIGSTOP);
		syscall(call, id, call == SYS_semop ? (void *)&down : text, call == SYS_semop ? 1 : 32, 0L, 0);
		_exit(0);
	}
	waitpid(child, &status, 0);
	for (;;) {
		char path[64], line[256] = "";
		ptrace(PTRACE_SYSCALL, child, 0, 0);
		waitpid(child, &status, 0);
		snprintf(path, sizeof path, "/proc/%d/syscall", child);
		FILE *f = fopen(path, "r");
		if (!f || !fgets(line, sizeof line, f))
			exit(1);
		fclose(f);
		if (atol(line) == call)
			return;
	}
}

int main(int argc, char **argv)
{
	if (argc != 4 || setgid(atoi(argv[1])) || setuid(atoi(argv[1])))
		return 1;
	prctl(PR_SET_DUMPABLE, 1); // setuid cleared it; /proc/PID/syscall would be unreadable
	stop(SYS_msgrcv, atol(argv[2]));
	stop(SYS_semop, atol(argv[3]));
	puts("stopped");
	fflush(stdout);
	getchar();
}
