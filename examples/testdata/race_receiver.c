// Prints the text in the page every second, even if it has printed it before, and even if
// it is only half written.
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
