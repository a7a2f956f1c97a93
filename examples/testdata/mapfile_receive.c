// Reads the number that mapfile_send has written.
#include "mapfile.h"

int main(void)
{
	int *number = map_number();
	if (number == NULL)
		return 1;
	printf("process:%d receive:%d\n", getpid(), *number);
	return 0;
}
