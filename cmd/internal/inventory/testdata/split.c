/* Attaches a segment of three pages once, and splits the mapping in three. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long page = sysconf(_SC_PAGESIZE);
	char *mem = argc == 2 ? shmat(atoi(argv[1]), NULL, 0) : (char *)-1;
	if (mem == (char *)-1 || mprotect(mem + page, page, PROT_READ)) {
		perror("split");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	char byte;
	return read(0, &byte, 1) != 0;
}
