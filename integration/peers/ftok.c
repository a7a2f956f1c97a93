// ftok PROJ FILE [PROJ FILE]... prints the key that ftok(3) returns for each file and
// project number.
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2)
		printf("%d\n", (int)ftok(argv[i + 1], atoi(argv[i])));
	return 0;
}
