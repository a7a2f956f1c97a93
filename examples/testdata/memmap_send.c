// Puts a text of at most ten bytes into a shared-memory object, and then posts a named
// semaphore.
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	enum { size = 10 };
	int fd = shm_open("/memmap", O_RDWR | O_CREAT, 0666);
	sem_t *ready = sem_open("/memmap_sem", O_CREAT, 0666, 0);
	if (fd < 0 || ready == SEM_FAILED || ftruncate(fd, size) < 0) {
		perror("memmap");
		return 1;
	}
	char *text = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (text == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	strcpy(text, "yuki...");
	printf("process:%d send:%s\n", getpid(), text);
	return sem_post(ready) < 0;
}
