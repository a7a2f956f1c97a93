/* robust counts under a robust pthread mutex in shared memory, as the tests do under a Mutex. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct page {
	pthread_mutex_t mutex;
	char pad[64 - sizeof(pthread_mutex_t)];
	uint32_t go, stop, ready, told;
	char pad2[48];
	uint64_t plain;
	char pad3[56];
	struct { uint64_t n; char pad[56]; } count[64];
};

static void check(int error, const char *what)
{
	if (error) {
		fprintf(stderr, "%s: %s\n", what, strerror(error));
		exit(1);
	}
}

int main(int argc, char **argv)
{
	int fd = open(argv[1], O_RDWR);
	check(fd < 0 ? errno : 0, argv[1]);
	struct page *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(p == MAP_FAILED ? errno : 0, "mmap");
	if (argc < 3) {
		pthread_mutexattr_t a;
		check(pthread_mutexattr_init(&a), "attr");
		check(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST), "robust");
		check(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED), "shared");
		check(pthread_mutex_init(&p->mutex, &a), "init");
		return 0;
	}
	int i = atoi(argv[2]);
	uint64_t n = 0;
	__atomic_add_fetch(&p->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&p->go, __ATOMIC_SEQ_CST))
		usleep(100);
	while (!__atomic_load_n(&p->stop, __ATOMIC_SEQ_CST)) {
		check(pthread_mutex_lock(&p->mutex), "lock");
		p->plain++;
		check(pthread_mutex_unlock(&p->mutex), "unlock");
		n++;
	}
	p->count[i].n = n;
	return 0;
}
