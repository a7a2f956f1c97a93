// Prints what is there every second, whether it has seen it before or not, and whether
// it is whole or not.
#include "race.h"

int main(void)
{
	char *page = attach();
	for (; strncmp(page, "end", 3) != 0; sleep(1)) {
		printf("%s ", page);
		fflush(stdout);
	}
	return shmdt(page);
}
