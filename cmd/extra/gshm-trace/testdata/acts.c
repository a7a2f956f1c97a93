// One act of a traced program for each test; the first argument names it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int set;

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static int change(int num, int by) { return semop(set, &(struct sembuf){num, by, 0}, 1); }

static void new_set(int n)
{
	set = semget(IPC_PRIVATE, n, 0600);
	must(set >= 0, "semget");
}

static void done(void) { must(semctl(set, 0, IPC_RMID) == 0, "IPC_RMID"); }

// threads: 8 threads take a lock 100 times each.
static void *locker(void *counter)
{
	for (int i = 0; i < 100; i++) {
		must(change(0, -1) == 0, "lock");
		++*(int *)counter;
		must(change(0, 1) == 0, "unlock");
	}
	return NULL;
}

static void threads(void)
{
	pthread_t all[8];
	int counter = 0;

	new_set(1);
	must(change(0, 1) == 0, "semop");
	for (int i = 0; i < 8; i++)
		must(pthread_create(&all[i], NULL, locker, &counter) == 0, "pthread_create");
	for (int i = 0; i < 8; i++)
		pthread_join(all[i], NULL);
	done();
	printf("%d\n", counter);
}

// signals: a timer interrupts waits at 1 kHz until another process lets them go on.
static volatile sig_atomic_t ticks;

static void tick(int signal)
{
	(void)signal;
	ticks++;
}

static void signals(void)
{
	struct itimerval khz = {{0, 1000}, {0, 1000}}, none = {{0, 0}, {0, 0}};
	int interrupted = 0;

	new_set(2);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = tick, .sa_flags = SA_RESTART}, NULL);
	pid_t child = fork();
	must(child >= 0, "fork");
	if (child == 0) {
		for (int i = 0; i < 20; i++) {
			must(change(0, -1) == 0, "child");
			usleep(10000);
			must(change(1, 1) == 0, "child");
		}
		_exit(0);
	}
	setitimer(ITIMER_REAL, &khz, NULL);
	for (int i = 0; i < 20; i++) {
		must(change(0, 1) == 0, "up");
		while (change(1, -1) != 0) {
			must(errno == EINTR, "down");
			interrupted++;
		}
	}
	setitimer(ITIMER_REAL, &none, NULL);
	while (waitpid(child, NULL, 0) != child)
		must(errno == EINTR, "waitpid");
	done();
	printf("interrupted: %s\n", interrupted > 0 && ticks > 20 ? "yes" : "no");
}

// execute: a thread that is not the first one executes this program again, which removes the
// set.
static void *executor(void *self)
{
	char number[16];

	snprintf(number, sizeof number, "%d", set);
	execl("/proc/self/exe", self, "remove", number, NULL);
	_exit(1);
}

static void remove_set(int number)
{
	set = number;
	done();
}

static void *waiter(void *nothing)
{
	change(0, -1); // the execve ends this thread
	return nothing;
}

static void execute(char *self)
{
	pthread_t thread;

	new_set(1);
	dprintf(1, "%d\n", set);
	must(pthread_create(&thread, NULL, waiter, NULL) == 0, "pthread_create");
	while (semctl(set, 0, GETNCNT) != 1)
		usleep(1000);
	must(pthread_create(&thread, NULL, executor, self) == 0, "pthread_create");
	pause();
}

// forks: processes by fork, vfork and clone, each of which makes a call.
static int cloned(void *nothing)
{
	(void)nothing;
	_exit(change(0, 1));
}

static void forks(void)
{
	static char stack[65536];
	pid_t child;

	new_set(1);
	for (int i = 0; i < 3; i++) {
		if (i == 0 && (child = fork()) == 0)
			_exit(change(0, 1));
		if (i == 1 && (child = vfork()) == 0)
			_exit(semop(set, &(struct sembuf){0, 1, 0}, 1));
		if (i == 2)
			child = clone(cloned, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
		must(waitpid(child, NULL, 0) == child, "waitpid");
	}
	printf("%d\n", semctl(set, 0, GETVAL));
	done();
}

// wait: prints the set and waits until it is removed.
static void on_term(int signal)
{
	(void)signal;
	done();
	_exit(42);
}

static void wait_for_removal(void)
{
	signal(SIGTERM, on_term);
	new_set(1);
	printf("%d\n", set);
	fflush(stdout);
	while (change(0, -1) != 0)
		if (errno != EINTR)
			exit(errno == EIDRM ? 43 : 1);
}

// hold: one process holds a lock for 100 ms while another one waits.
static void hold(void)
{
	new_set(1);
	must(change(0, 1) == 0, "semop");
	must(change(0, -1) == 0, "semop");
	pid_t child = fork();
	must(child >= 0, "fork");
	if (child == 0) {
		must(change(0, -1) == 0, "lock");
		_exit(change(0, 1));
	}
	while (semctl(set, 0, GETNCNT) != 1)
		usleep(1000);
	usleep(100000);
	must(change(0, 1) == 0, "unlock");
	must(waitpid(child, NULL, 0) == child, "waitpid");
	done();
}

// mutex: two processes contend for a mutex in a System V segment, in shared memory without
// a name, and in a POSIX object, and for one that is private.
static void contend(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t shared;

	pthread_mutexattr_init(&shared);
	pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(mutex, &shared);
	pthread_mutex_lock(mutex);
	pid_t child = fork();
	must(child >= 0, "fork");
	if (child == 0) {
		pthread_mutex_lock(mutex);
		pthread_mutex_unlock(mutex);
		_exit(0);
	}
	while (*(volatile int *)mutex != 2) // glibc: locked, and waited for
		usleep(1000);
	pthread_mutex_unlock(mutex);
	must(waitpid(child, NULL, 0) == child, "waitpid");
}

static void mutexes(void)
{
	int id = shmget(IPC_PRIVATE, 4096, 0600), fd = shm_open("/acts", O_RDWR | O_CREAT, 0600);
	char *segment = shmat(id, NULL, 0);

	must(ftruncate(fd, 8192) == 0, "ftruncate");
	contend((void *)(segment + 64));
	contend(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	contend(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096));
	must(shmctl(id, IPC_RMID, NULL) == 0, "IPC_RMID");
	must(shm_unlink("/acts") == 0, "shm_unlink");
	printf("%d\n", id);
}

// restart: a futex wait with a timeout, which a stop interrupts and the kernel restarts.
static void restart(void)
{
	struct timespec timeout = {0, 300000000};
	int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t me = getpid(), child = fork();

	if (child == 0) {
		for (int i = 0; i < 3; i++) {
			usleep(50000);
			kill(me, SIGSTOP);
			usleep(10000);
			kill(me, SIGCONT);
		}
		_exit(0);
	}
	syscall(SYS_futex, word, 0, 0, &timeout, NULL, 0); // FUTEX_WAIT
	printf("%s\n", strerror(errno));
	must(waitpid(child, NULL, 0) == child, "waitpid");
}

// state: prints what a program inherits.
static void state(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "re");

	while (fgets(line, sizeof line, status))
		if ((strncmp(line, "Sig", 3) == 0 && line[3] != 'Q') || strncmp(line, "Threads", 7) == 0)
			fputs(line, stdout);
	fclose(status);
	for (int fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	printf("%s\n", getcwd(line, sizeof line));
	fputs("error\n", stderr);
}

// garbage: calls with random arguments, some of them addresses of memory, unmapped memory or
// a path. Only the calls that could do harm outside get a wrong first argument.
static void garbage(int n)
{
	static const long calls[] = {SYS_shmget, SYS_shmat, SYS_shmctl, SYS_shmdt, SYS_semget, SYS_semop, SYS_semtimedop, SYS_semctl, SYS_msgget,
		SYS_msgsnd, SYS_msgrcv, SYS_msgctl, SYS_mq_open, SYS_mq_unlink, SYS_mq_timedsend, SYS_mq_timedreceive, SYS_mq_notify, SYS_mq_getsetattr,
		SYS_openat, SYS_unlinkat, SYS_linkat};
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(page + 4096, 4096);
	for (int i = 0; i < 4096; i++)
		page[i] = 1 + rand() % 255; // no string ends
	memcpy(page, "/dev/shm/\x1b[31m\n", 15);
	srand(n);
	for (int i = 0; i < n; i++) {
		long a[6];
		for (int k = 0; k < 6; k++)
			switch (rand() % 5) {
			case 0: a[k] = (long)page + rand() % 4096; break;
			case 1: a[k] = (long)page + 4096; break;
			case 2: a[k] = (long)page; break;
			case 3: a[k] = (long)rand() * rand(); break;
			default: a[k] = -1 - rand() % 3;
			}
		a[0] = -1 - (long)rand() * 4; // no object, descriptor or address
		long call = calls[i % (sizeof calls / sizeof *calls)];
		if (call == SYS_shmget || call == SYS_semget || call == SYS_msgget)
			a[call == SYS_msgget ? 1 : 2] &= ~IPC_CREAT;
		must(syscall(call, a[0] | 1L << 31, a[1], a[2], a[3], a[4], a[5]) == -1, "garbage");
	}
}

// storm: processes and threads that make calls until they are killed, or for a minute if the
// test has failed.
static void *stormy(void *nothing)
{
	for (;;) {
		change(0, 1);
		change(0, -1);
	}
	return nothing;
}

static void storm(void)
{
	pthread_t thread;

	new_set(1);
	for (int i = 0; i < 3; i++)
		fork();
	alarm(60);
	must(pthread_create(&thread, NULL, stormy, NULL) == 0, "pthread_create");
	stormy(NULL);
}

// loop: semop without contention, and other calls in between; prints nanoseconds per semop.
static void loop(int n)
{
	struct timespec a, b;

	new_set(1);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < n; i++) {
		change(0, 1);
		change(0, -1);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	done();
	printf("%.0f\n", ((b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec) / n / 2);
}

// other: calls that are not of IPC; prints nanoseconds per call.
static void other(int n)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < n; i++)
		close(open("/dev/null", O_RDONLY | O_CLOEXEC));
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.0f\n", ((b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec) / n / 2);
}

int main(int argc, char **argv)
{
	const char *act = argc > 1 ? argv[1] : "";
	int n = argc > 2 ? atoi(argv[2]) : 1;

	if (strcmp(act, "threads") == 0)
		threads();
	else if (strcmp(act, "signals") == 0)
		signals();
	else if (strcmp(act, "execute") == 0)
		execute(argv[0]);
	else if (strcmp(act, "remove") == 0)
		remove_set(n);
	else if (strcmp(act, "forks") == 0)
		forks();
	else if (strcmp(act, "wait") == 0)
		wait_for_removal();
	else if (strcmp(act, "hold") == 0)
		hold();
	else if (strcmp(act, "mutexes") == 0)
		mutexes();
	else if (strcmp(act, "restart") == 0)
		restart();
	else if (strcmp(act, "state") == 0)
		state();
	else if (strcmp(act, "garbage") == 0)
		garbage(n);
	else if (strcmp(act, "storm") == 0)
		storm();
	else if (strcmp(act, "loop") == 0)
		loop(n);
	else if (strcmp(act, "other") == 0)
		other(n);
	else
		return 2;
	return 0;
}
