// Writes a number into a file through a mapping.
#include "mapfile.h"

int main(void)
{
	int *number = map_number();
	if (number == NULL)
		return 1;
	*number = 111;
	printf("process:%d send:%d\n", getpid(), *number);
	return 0;
}
