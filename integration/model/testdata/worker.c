/* A process of the C side. It reads steps from standard input, each a line of numbers,
 * executes them, and answers each with a line of numbers or with one negated error
 * number. SIGUSR1 interrupts a call that sleeps. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif
#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY 13
#endif
#ifndef SEM_STAT_ANY
#define SEM_STAT_ANY 20
#endif

enum {             /* arguments */
	SHMGET,    /* key size exclusive */
	SHMOPEN,   /* key */
	SHMAT,     /* id slot read-only */
	SHMDT,     /* slot */
	POKE,      /* slot offset byte */
	PEEK,      /* slot offset */
	SHMSET,    /* id mode */
	SHMRM,     /* id */
	SHMLOOK,   /* id */
	SEMGET,    /* key nsems exclusive */
	SEMOPEN,   /* key */
	SEMOP,     /* id how {num add flags}... */
	SETVAL_,   /* id num value */
	SETALL_,   /* id value... */
	SEMSET,    /* id mode */
	SEMRM,     /* id */
	SEMLOOK,   /* id */
	MSGGET,    /* key exclusive */
	MSGOPEN,   /* key */
	MSGSND,    /* id how type length byte */
	MSGRCV,    /* id how size type except truncate */
	MSGPEEK,   /* id index size */
	MSGSET,    /* id mode qbytes */
	MSGRM,     /* id */
	MSGLOOK,   /* id */
	LIST,      /* kind */
	USAGE,
	CLEAR,
};

enum { WAITING, NO_TIME, TRYING }; /* how */

union semun {
	int val;
	struct semid_ds *sem;
	struct seminfo *seminfo;
	unsigned short *array;
};

static char *attached[2];

static void numbers(const long *n, int many)
{
	for (int i = 0; i < many; i++)
		printf("%s%ld", i ? " " : "", n[i]);
	printf("\n");
}

static void answer(long r)
{
	long n = r == -1 ? -errno : r;
	numbers(&n, 1);
}

static void ok(long r) { answer(r == -1 ? -1 : 0); }

static void shmlook(int id)
{
	struct shmid_ds ds;
	if (shmctl(id, IPC_STAT, &ds) == -1) {
		answer(-1);
		return;
	}
	long look[] = {(long)ds.shm_segsz, (long)ds.shm_nattch, ds.shm_cpid, ds.shm_lpid,
		       (ds.shm_perm.mode & SHM_DEST) != 0, ds.shm_perm.mode & 0777};
	numbers(look, 6);
}

static void segment(int verb, const long *a)
{
	struct shmid_ds ds = {0};
	switch (verb) {
	case SHMGET:
		answer(shmget((key_t)a[0], (size_t)a[1], IPC_CREAT | (a[2] ? IPC_EXCL : 0) | 0600));
		break;
	case SHMOPEN:
		answer(shmget((key_t)a[0], 0, 0));
		break;
	case SHMAT:
		attached[a[1]] = shmat((int)a[0], NULL, a[2] ? SHM_RDONLY : 0);
		ok((long)attached[a[1]]);
		if ((long)attached[a[1]] == -1)
			attached[a[1]] = NULL;
		break;
	case SHMDT:
		ok(shmdt(attached[a[0]]));
		attached[a[0]] = NULL;
		break;
	case POKE:
		attached[a[0]][a[1]] = (char)a[2];
		ok(0);
		break;
	case PEEK:
		answer((unsigned char)attached[a[0]][a[1]]);
		break;
	case SHMSET:
		ds.shm_perm.mode = (unsigned short)a[1];
		ok(shmctl((int)a[0], IPC_SET, &ds));
		break;
	case SHMRM:
		ok(shmctl((int)a[0], IPC_RMID, NULL));
		break;
	default:
		shmlook((int)a[0]);
	}
}

static void do_semop(int id, int how, const long *a, int many)
{
	struct sembuf ops[16];
	int n = 0;
	for (int i = 0; i < many; i += 3, n++) {
		ops[n].sem_num = (unsigned short)a[i];
		ops[n].sem_op = (short)a[i + 1];
		ops[n].sem_flg = (short)((a[i + 2] & 1 ? SEM_UNDO : 0) | (a[i + 2] & 2 || how == TRYING ? IPC_NOWAIT : 0));
	}
	struct timespec none = {0, 0};
	ok(how == NO_TIME ? semtimedop(id, ops, (size_t)n, &none) : semop(id, ops, (size_t)n));
}

static int nsems(int id, struct semid_ds *ds)
{
	union semun arg = {.sem = ds};
	return semctl(id, 0, IPC_STAT, arg) == -1 ? -1 : (int)ds->sem_nsems;
}

static void semlook(int id)
{
	struct semid_ds ds;
	unsigned short values[16];
	union semun arg = {.array = values};
	int n = nsems(id, &ds);
	if (n == -1 || semctl(id, 0, GETALL, arg) == -1) {
		answer(-1);
		return;
	}
	long look[3 + 4 * 16] = {n, ds.sem_otime != 0, ds.sem_perm.mode & 0777};
	for (int i = 0; i < n; i++) {
		look[3 + i] = values[i];
		look[3 + n + i] = semctl(id, i, GETPID);
		look[3 + 2 * n + i] = semctl(id, i, GETNCNT);
		look[3 + 3 * n + i] = semctl(id, i, GETZCNT);
	}
	numbers(look, 3 + 4 * n);
}

static void set(int verb, const long *a, int many)
{
	struct semid_ds ds = {0};
	unsigned short values[16];
	union semun arg = {.sem = &ds};
	switch (verb) {
	case SEMGET:
		answer(semget((key_t)a[0], (int)a[1], IPC_CREAT | (a[2] ? IPC_EXCL : 0) | 0600));
		break;
	case SEMOPEN:
		answer(semget((key_t)a[0], 0, 0));
		break;
	case SEMOP:
		do_semop((int)a[0], (int)a[1], a + 2, many - 2);
		break;
	case SETVAL_:
		arg.val = (int)a[2];
		ok(semctl((int)a[0], (int)a[1], SETVAL, arg));
		break;
	case SETALL_:
		/* SETALL reads as many values as the set has semaphores. */
		if (nsems((int)a[0], &ds) != many - 1) {
			errno = EINVAL;
			ok(-1);
			break;
		}
		for (int i = 1; i < many; i++)
			values[i - 1] = (unsigned short)a[i];
		arg.array = values;
		ok(semctl((int)a[0], 0, SETALL, arg));
		break;
	case SEMSET:
		ds.sem_perm.mode = (unsigned short)a[1];
		ok(semctl((int)a[0], 0, IPC_SET, arg));
		break;
	case SEMRM:
		ok(semctl((int)a[0], 0, IPC_RMID));
		break;
	default:
		semlook((int)a[0]);
	}
}

static void receive(int id, long size, long type, int flags)
{
	struct {
		long type;
		unsigned char text[64];
	} m;
	long n = msgrcv(id, &m, (size_t)size, type, flags), sum = 0;
	if (n == -1) {
		answer(-1);
		return;
	}
	for (int i = 0; i < n; i++)
		sum += m.text[i];
	long got[] = {n, m.type, sum};
	numbers(got, 3);
}

static void queue(int verb, const long *a)
{
	struct msqid_ds ds = {0};
	struct {
		long type;
		char text[64];
	} m;
	switch (verb) {
	case MSGGET:
		answer(msgget((key_t)a[0], IPC_CREAT | (a[1] ? IPC_EXCL : 0) | 0600));
		break;
	case MSGOPEN:
		answer(msgget((key_t)a[0], 0));
		break;
	case MSGSND:
		m.type = a[2];
		memset(m.text, (int)a[4], sizeof m.text);
		ok(msgsnd((int)a[0], &m, (size_t)a[3], a[1] == WAITING ? 0 : IPC_NOWAIT));
		break;
	case MSGRCV:
		receive((int)a[0], a[2], a[3],
			(a[1] == WAITING ? 0 : IPC_NOWAIT) | (a[4] ? MSG_EXCEPT : 0) | (a[5] ? MSG_NOERROR : 0));
		break;
	case MSGPEEK:
		receive((int)a[0], a[2], a[1], MSG_COPY | IPC_NOWAIT);
		break;
	case MSGSET:
		ds.msg_perm.mode = (unsigned short)a[1];
		ds.msg_qbytes = (msglen_t)a[2];
		ok(msgctl((int)a[0], IPC_SET, &ds));
		break;
	case MSGRM:
		ok(msgctl((int)a[0], IPC_RMID, NULL));
		break;
	default:
		if (msgctl((int)a[0], IPC_STAT, &ds) == -1) {
			answer(-1);
			break;
		}
		long look[] = {(long)ds.msg_qnum, (long)ds.__msg_cbytes, (long)ds.msg_qbytes,
			       ds.msg_lspid, ds.msg_lrpid, ds.msg_perm.mode & 0777};
		numbers(look, 6);
	}
}

/* all stores the identifiers of all objects of a kind. */
static int all(int kind, long *ids)
{
	struct shm_info shm;
	struct msginfo msg;
	struct seminfo sem;
	union semun arg = {.seminfo = &sem};
	int n = 0;
	int last = kind == 0   ? shmctl(0, SHM_INFO, (struct shmid_ds *)&shm)
		   : kind == 1 ? semctl(0, 0, SEM_INFO, arg)
			       : msgctl(0, MSG_INFO, (struct msqid_ds *)&msg);
	for (int i = 0; i <= last; i++) {
		struct shmid_ds shmds;
		struct semid_ds semds;
		struct msqid_ds msgds;
		arg.sem = &semds;
		int id = kind == 0   ? shmctl(i, SHM_STAT_ANY, &shmds)
			 : kind == 1 ? semctl(i, 0, SEM_STAT_ANY, arg)
				     : msgctl(i, MSG_STAT_ANY, &msgds);
		if (id != -1)
			ids[n++] = id;
	}
	return n;
}

static void usage(void)
{
	struct shm_info shm;
	struct msginfo msg;
	struct seminfo sem;
	union semun arg = {.seminfo = &sem};
	shmctl(0, SHM_INFO, (struct shmid_ds *)&shm);
	semctl(0, 0, SEM_INFO, arg);
	msgctl(0, MSG_INFO, (struct msqid_ds *)&msg);
	long n[] = {shm.used_ids, (long)shm.shm_tot, sem.semusz, sem.semaem, msg.msgpool, msg.msgmap, msg.msgtql};
	numbers(n, 7);
}

static void clear(void)
{
	long ids[64];
	for (int slot = 0; slot < 2; slot++) {
		if (attached[slot])
			shmdt(attached[slot]);
		attached[slot] = NULL;
	}
	for (int kind = 0; kind < 3; kind++)
		for (int n = all(kind, ids); n-- > 0;)
			if ((kind == 0   ? shmctl((int)ids[n], IPC_RMID, NULL)
			     : kind == 1 ? semctl((int)ids[n], 0, IPC_RMID)
					 : msgctl((int)ids[n], IPC_RMID, NULL)) == -1) {
				answer(-1);
				return;
			}
	ok(0);
}

static void interrupted(int signal) { (void)signal; }

int main(void)
{
	struct sigaction action = {.sa_handler = interrupted}; /* without SA_RESTART */
	sigaction(SIGUSR1, &action, NULL);
	for (char line[512]; fgets(line, sizeof line, stdin); fflush(stdout)) {
		long a[64], ids[64];
		int many = 0;
		for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
			a[many++] = atol(word);
		int verb = (int)a[0];
		if (verb < SEMGET)
			segment(verb, a + 1);
		else if (verb < MSGGET)
			set(verb, a + 1, many - 1);
		else if (verb < LIST)
			queue(verb, a + 1);
		else if (verb == LIST)
			numbers(ids, all((int)a[1], ids));
		else if (verb == USAGE)
			usage();
		else
			clear();
	}
	return 0;
}
