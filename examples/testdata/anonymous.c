// Anonymous memory that a parent shares with its child.
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int *number = mmap(NULL, sizeof *number, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (number == MAP_FAILED)
		return 1;
	if (fork() == 0) {
		*number = 1;
		printf("child:set memory %d\n", *number);
		return 0;
	}
	wait(NULL);
	printf("parent:memory value %d\n", *number);
	return 0;
}
