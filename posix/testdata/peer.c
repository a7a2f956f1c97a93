/* The C side of the tests: it uses the objects as programs written in C do. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int is(const char *a, const char *b) { return strcmp(a, b) == 0; }

static void check(int ok, const char *what) {
	if (!ok) {
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static void say(const char *line) {
	puts(line);
	fflush(stdout);
}

static void *map(int fd) {
	struct stat st;
	check(fstat(fd, &st) == 0, "fstat");
	void *p = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(p != MAP_FAILED, "mmap");
	return p;
}

static sem_t *sem(const char *name) {
	sem_t *s = sem_open(name, 0);
	check(s != SEM_FAILED, "sem_open");
	return s;
}

/* bench NAME COUNT: prints how many nanoseconds a sem_post and a sem_wait take */
static int bench(const char *name, long count) {
	sem_t *s = sem(name);
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (long i = 0; i < count; i++) {
		sem_wait(s);
		sem_post(s);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.3f\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / count);
	return 0;
}

/* lock SEM SHM COUNT: increments a counter without atomic access, under the semaphore */
static int lock(sem_t *s, const char *shm, long count) {
	int fd = shm_open(shm, O_RDWR, 0);
	check(fd != -1, "shm_open");
	volatile int *counter = map(fd);
	say("ready");
	for (long i = 0; i < count; i++) {
		check(sem_wait(s) == 0, "sem_wait");
		int v = *counter;
		*counter = v + 1;
		check(sem_post(s) == 0, "sem_post");
	}
	return 0;
}

/* pingpong A B COUNT: waits for A and answers with B */
static int pingpong(sem_t *a, sem_t *b, long count) {
	say("ready");
	for (long i = 0; i < count; i++) {
		check(sem_wait(a) == 0, "sem_wait");
		check(sem_post(b) == 0, "sem_post");
	}
	return 0;
}

int main(int argc, char **argv) {
	const char *what = argc > 1 ? argv[1] : "";
	if (is(what, "shm-create")) { /* NAME TEXT */
		int fd = shm_open(argv[2], O_CREAT | O_EXCL | O_RDWR, 0600);
		check(fd != -1, "shm_open");
		check(ftruncate(fd, 4096) == 0, "ftruncate");
		strcpy(map(fd), argv[3]);
		return 0;
	}
	if (is(what, "shm-read")) { /* NAME */
		int fd = shm_open(argv[2], O_RDWR, 0);
		check(fd != -1, "shm_open");
		puts(map(fd));
		return 0;
	}
	if (is(what, "fd-write")) { /* FD TEXT */
		strcpy(map(atoi(argv[2])), argv[3]);
		return 0;
	}
	if (is(what, "sem-create")) { /* NAME VALUE */
		sem_t *s = sem_open(argv[2], O_CREAT | O_EXCL, 0600, (unsigned)atoi(argv[3]));
		check(s != SEM_FAILED, "sem_open");
		return 0;
	}
	if (is(what, "sem-value")) { /* NAME */
		int v;
		check(sem_getvalue(sem(argv[2]), &v) == 0, "sem_getvalue");
		printf("%d\n", v);
		return 0;
	}
	if (is(what, "sem-init")) { /* SHM PSHARED VALUE: in SHM; then waits on it */
		int fd = shm_open(argv[2], O_RDWR, 0);
		check(fd != -1, "shm_open");
		sem_t *s = map(fd);
		check(sem_init(s, atoi(argv[3]), (unsigned)atoi(argv[4])) == 0, "sem_init");
		say("ready");
		check(sem_wait(s) == 0, "sem_wait");
		say("got it");
		return 0;
	}
	if (is(what, "bench"))
		return bench(argv[2], atol(argv[3]));
	if (is(what, "lock"))
		return lock(sem(argv[2]), argv[3], atol(argv[4]));
	if (is(what, "pingpong"))
		return pingpong(sem(argv[2]), sem(argv[3]), atol(argv[4]));
	if (is(what, "mq-send")) { /* NAME TEXT PRIORITY */
		mqd_t q = mq_open(argv[2], O_WRONLY);
		check(q != (mqd_t)-1, "mq_open");
		check(mq_send(q, argv[3], strlen(argv[3]), (unsigned)atoi(argv[4])) == 0, "mq_send");
		return 0;
	}
	if (is(what, "mq-receive")) { /* NAME */
		mqd_t q = mq_open(argv[2], O_RDONLY);
		check(q != (mqd_t)-1, "mq_open");
		struct mq_attr attr;
		check(mq_getattr(q, &attr) == 0, "mq_getattr");
		char *buf = calloc(1, attr.mq_msgsize + 1);
		unsigned prio;
		check(mq_receive(q, buf, attr.mq_msgsize, &prio) >= 0, "mq_receive");
		printf("%s %u %ld %ld\n", buf, prio, attr.mq_maxmsg, attr.mq_msgsize);
		return 0;
	}
	if (is(what, "mq-notify")) { /* NAME: asks for a notification, waits for end of input */
		mqd_t q = mq_open(argv[2], O_RDONLY);
		check(q != (mqd_t)-1, "mq_open");
		struct sigevent ev = {.sigev_notify = SIGEV_NONE};
		check(mq_notify(q, &ev) == 0, "mq_notify");
		say("ready");
		getchar();
		return 0;
	}
	fprintf(stderr, "what?\n");
	return 2;
}
