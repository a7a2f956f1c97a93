// Waits for the semaphore, and prints the text that memmap_send has left.
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void)
{
	struct stat object;
	int fd = shm_open("/memmap", O_RDWR, 0);
	sem_t *ready = sem_open("/memmap_sem", 0);
	if (fd < 0 || ready == SEM_FAILED || fstat(fd, &object) < 0) {
		perror("memmap");
		return 1;
	}
	char *text = mmap(NULL, object.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (text == MAP_FAILED || sem_wait(ready) < 0) {
		perror("memmap");
		return 1;
	}
	printf("process:%d recv:%.*s\n", getpid(), (int)object.st_size, text);
	return 0;
}
