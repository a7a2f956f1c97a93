// Writes each line of its standard input over the previous one. The line "end" ends both
// programs.
#include "race.h"

int main(void)
{
	char *page = attach();
	do
		printf("input: ");
	while (fgets(page, PAGE - 1, stdin) && strncmp(page, "end", 3) != 0);
	return shmdt(page);
}
