// Makes every call of System V and POSIX IPC at least once, and some that fail. It removes
// what it makes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEY 0x4d2

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static void must(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void fails(long result, int want, const char *what)
{
	if (result != -1 || errno != want) {
		fprintf(stderr, "%s: %ld, errno %d; want errno %d\n", what, result, errno, want);
		exit(1);
	}
}

static void segments(void)
{
	struct shmid_ds ds;
	int id = shmget(KEY, 4096, IPC_CREAT | IPC_EXCL | 0600);

	must(id >= 0, "shmget");
	fails(shmget(KEY, 4096, IPC_CREAT | IPC_EXCL | 0600), EEXIST, "shmget");
	fails(shmget(KEY, 8192, 0), EINVAL, "shmget");
	fails(shmget(KEY + 1, 1, 0), ENOENT, "shmget");
	char *all = shmat(id, NULL, 0);
	must(all != (void *)-1, "shmat");
	void *read_only = shmat(id, NULL, SHM_RDONLY);
	must(read_only != (void *)-1, "shmat");
	fails((long)shmat(id, all, 0), EINVAL, "shmat");
	must(shmat(id, all, SHM_REMAP) == all, "shmat SHM_REMAP");
	must(shmctl(id, IPC_STAT, &ds) == 0, "shmctl IPC_STAT");
	ds.shm_perm.mode = 0640;
	must(shmctl(id, IPC_SET, &ds) == 0, "shmctl IPC_SET");
	must(shmdt(read_only) == 0, "shmdt");
	must(shmdt(all) == 0, "shmdt");
	fails(shmdt(all), EINVAL, "shmdt");
	fails(shmctl(id, 4711, NULL), EINVAL, "shmctl");
	must(shmctl(id, IPC_RMID, NULL) == 0, "shmctl IPC_RMID");
	fails(shmctl(id, IPC_RMID, NULL), EINVAL, "shmctl");
	id = shmget(IPC_PRIVATE, 100, IPC_CREAT | SHM_NORESERVE | 0644);
	must(id >= 0, "shmget");
	must(shmctl(id, IPC_RMID, NULL) == 0, "shmctl");
}

static void semaphores(void)
{
	struct semid_ds ds;
	struct seminfo info;
	unsigned short values[3] = {1, 0, 2};
	struct sembuf down = {0, -1, SEM_UNDO}, up = {0, 1, SEM_UNDO}, now = {1, -1, IPC_NOWAIT};
	struct sembuf several[] = {{0, -1, 0}, {1, 0, 0}, {2, 1, IPC_NOWAIT | SEM_UNDO}}, wait = {1, -1, 0};
	struct timespec soon = {0, 2000000};
	int id = semget(KEY, 3, IPC_CREAT | 0600);

	must(id >= 0, "semget");
	must(semctl(id, 0, SETALL, (union semun){.array = values}) == 0, "semctl SETALL");
	must(semctl(id, 0, GETALL, (union semun){.array = values}) == 0, "semctl GETALL");
	must(semctl(id, 2, SETVAL, (union semun){.val = 3}) == 0, "semctl SETVAL");
	must(semctl(id, 2, GETVAL) == 3, "semctl GETVAL");
	must(semctl(id, 2, GETPID) > 0, "semctl GETPID");
	must(semctl(id, 2, GETNCNT) == 0, "semctl GETNCNT");
	must(semctl(id, 2, GETZCNT) == 0, "semctl GETZCNT");
	must(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}) == 0, "semctl IPC_STAT");
	must(semctl(id, 0, IPC_SET, (union semun){.buf = &ds}) == 0, "semctl IPC_SET");
	must(semctl(0, 0, IPC_INFO, (union semun){.buf = (void *)&info}) >= 0, "semctl IPC_INFO");
	must(semop(id, &down, 1) == 0, "semop");
	must(semop(id, &up, 1) == 0, "semop");
	must(semop(id, several, 3) == 0, "semop");
	fails(semop(id, &now, 1), EAGAIN, "semop");
	fails(semtimedop(id, &wait, 1, &soon), EAGAIN, "semtimedop");
	fails(semop(id, NULL, 1), EFAULT, "semop");
	fails(semop(id, &(struct sembuf){7, 1, 0}, 1), EFBIG, "semop");
	must(semctl(id, 0, IPC_RMID) == 0, "semctl IPC_RMID");
	fails(semop(id, &up, 1), EINVAL, "semop");
}

static void queues(void)
{
	struct { long type; char text[64]; } message = {7, "hello \"\x01\xff\n"}, big = {.type = 1};
	struct msqid_ds ds;
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

	must(id >= 0, "msgget");
	memset(big.text, 'x', sizeof big.text);
	must(msgsnd(id, &message, 10, 0) == 0, "msgsnd");
	must(msgsnd(id, &big, sizeof big.text, IPC_NOWAIT) == 0, "msgsnd");
	must(msgrcv(id, &message, sizeof message.text, -7, MSG_NOERROR) == 64, "msgrcv");
	must(msgrcv(id, &message, sizeof message.text, 7, 0) == 10, "msgrcv");
	fails(msgrcv(id, &message, sizeof message.text, 0, IPC_NOWAIT), ENOMSG, "msgrcv");
	must(msgctl(id, IPC_STAT, &ds) == 0, "msgctl IPC_STAT");
	ds.msg_qbytes = 1000;
	must(msgctl(id, IPC_SET, &ds) == 0, "msgctl IPC_SET");
	must(msgctl(id, IPC_RMID, NULL) == 0, "msgctl IPC_RMID");
	fails(msgsnd(id, &message, 1, 0), EINVAL, "msgsnd");
}

static void posix_queues(void)
{
	struct mq_attr attr = {.mq_maxmsg = 3, .mq_msgsize = 64}, old;
	struct timespec past = {1, 0};
	char text[64];
	unsigned priority;
	mqd_t q = mq_open("/gipc-calls", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	must(q >= 0, "mq_open");
	fails(mq_open("/gipc-none", O_RDONLY), ENOENT, "mq_open");
	must(mq_send(q, "hello", 5, 3) == 0, "mq_send");
	must(mq_receive(q, text, sizeof text, &priority) == 5, "mq_receive");
	must(mq_receive(q, NULL, 0, NULL) == -1, "mq_receive");
	fails(mq_timedreceive(q, text, sizeof text, NULL, &past), ETIMEDOUT, "mq_timedreceive");
	must(mq_getattr(q, &old) == 0, "mq_getattr");
	old.mq_flags = O_NONBLOCK;
	must(mq_setattr(q, &old, &attr) == 0, "mq_setattr");
	must(mq_notify(q, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1}) == 0, "mq_notify");
	must(mq_notify(q, NULL) == 0, "mq_notify");
	must(mq_close(q) == 0, "mq_close");
	must(mq_unlink("/gipc-calls") == 0, "mq_unlink");
	fails(mq_unlink("/gipc-calls"), ENOENT, "mq_unlink");
}

static void posix_objects(void)
{
	struct timespec past = {1, 0};
	int fd = shm_open("/gipc-calls", O_RDWR | O_CREAT | O_EXCL, 0600);

	must(fd >= 0, "shm_open");
	must(ftruncate(fd, 4096) == 0, "ftruncate");
	sem_t *unnamed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(unnamed != MAP_FAILED, "mmap");
	must(sem_init(unnamed + 1, 1, 0) == 0, "sem_init");
	clock_gettime(CLOCK_REALTIME, &past);
	past.tv_sec += 60;
	must(close(fd) == 0, "close");
	pid_t child = fork();
	must(child >= 0, "fork");
	if (child == 0) {
		usleep(1000);
		_exit(sem_post(unnamed + 1));
	}
	while (sem_timedwait(unnamed + 1, &past) != 0)
		must(errno == EINTR, "sem_timedwait");
	must(waitpid(child, NULL, 0) == child, "waitpid");
	must(shm_unlink("/gipc-calls") == 0, "shm_unlink");
	fails(shm_unlink("/gipc-calls"), ENOENT, "shm_unlink");
	sem_t *named = sem_open("/gipc-calls", O_CREAT | O_EXCL, 0600, 1);
	must(named != SEM_FAILED, "sem_open");
	must(sem_wait(named) == 0, "sem_wait");
	past.tv_sec = 1;
	fails(sem_timedwait(named, &past), ETIMEDOUT, "sem_timedwait");
	must(sem_close(named) == 0, "sem_close");
	must(sem_unlink("/gipc-calls") == 0, "sem_unlink");
}

int main(void)
{
	segments();
	semaphores();
	queues();
	posix_queues();
	posix_objects();
	puts("done");
	return 7;
}
