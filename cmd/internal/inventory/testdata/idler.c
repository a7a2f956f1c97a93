// idler UID: a process of user UID that uses no object and contains no calls to use one.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2 || setgid(atoi(argv[1])) || setuid(atoi(argv[1])))
		return 1;
	puts("idle");
	fflush(stdout);
	getchar();
}
