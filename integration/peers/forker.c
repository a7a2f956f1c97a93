// forker attaches a segment and, at each line of its standard input, takes the
// next step: fork a child, let the child exec another program, end that program,
// exit. It prints a line after each step.
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what)
{
	puts(what);
	fflush(stdout);
}

static void wait_for_line(void)
{
	char line[100];
	if (!fgets(line, sizeof line, stdin))
		exit(1);
}

int main(int argc, char **argv)
{
	int go[2], executed[2];
	char c;

	if (argc != 2 || shmat(atoi(argv[1]), NULL, 0) == (void *)-1) {
		perror("shmat");
		return 1;
	}
	say("attached");

	wait_for_line();
	if (pipe(go) || pipe(executed))
		return 1;
	pid_t child = fork();
	if (child == 0) {
		close(go[1]);
		close(executed[0]);
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		dup2(go[0], 0);
		dup2(executed[1], 1);
		close(executed[1]);
		execlp("sh", "sh", "-c", "echo; read line", NULL);
		_exit(1);
	}
	close(go[0]);
	close(executed[1]);
	say("forked");

	wait_for_line();
	if (write(go[1], "x", 1) != 1 || read(executed[0], &c, 1) != 1)
		return 1;
	say("executed");

	wait_for_line();
	close(go[1]);
	waitpid(child, NULL, 0);
	say("waited");

	wait_for_line();
	return 0;
}
