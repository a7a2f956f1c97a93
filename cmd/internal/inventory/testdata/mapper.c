// mapper UID FILE...: a process of user UID that has mapped files as executable.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		if (fd < 0 || mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED || close(fd)) {
			perror(argv[i]);
			return 1;
		}
	}
	if (argc < 2 || setgid(atoi(argv[1])) || setuid(atoi(argv[1])))
		return 1;
	puts("mapped");
	fflush(stdout);
	getchar();
}
