/* gipc_lock.h: a lock between processes in shared memory, for C and C++.
 *
 * It is the Mutex of package shmsync of github.com/sysvipc/gipc, whose documentation
 * specifies the 64 bytes that it takes. If its holder dies, the others notice, and the next
 * holder is told that the protected data may be half changed.
 *
 *	struct gipc_lock lock;
 *	if ((err = gipc_lock_open(&lock, mem, fd, 0)) < 0)
 *		...strerror(-err)...
 *	if ((err = gipc_lock_acquire(&lock, -1)) == 1) {
 *		...repair what a dead holder left...
 *		gipc_lock_mark_consistent(&lock);
 *	}
 *	if (err >= 0)
 *		gipc_lock_release(&lock);
 *	gipc_lock_close(&lock);
 *
 * gipc_base.h has the rules for handles, timeouts, errors, forks and other processes.
 */
#ifndef GIPC_LOCK_H
#define GIPC_LOCK_H

#include "gipc_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GIPC_LOCK_SIZE 64
#define GIPC_LOCK_VERSION 1

/* The words in memory, all accessed atomically. */
struct gipc_lock_words {
	uint64_t magic;
	uint32_t version, required;
	uint64_t id, death, lock, tickets, since;
	uint32_t turn, call;
};

/* A lock in the memory of this process. */
struct gipc_lock {
	struct gipc_lock_words *words;
	int lifeline; /* descriptor with our lock, -1 when closed */
	int spin, run;
	uint64_t self; /* our ticket, as it is in the lock word */
};

/* Internal, not for callers. */

#define GIPC_LOCK__MAGIC 0x7874756d63706967ULL
#define GIPC_LOCK__FIRST (1ULL << 62) /* the byte of ticket 0 */
#define GIPC_LOCK__LEAST (1ULL << 32) /* bounds of the first ticket */
#define GIPC_LOCK__MOST (1ULL << 58)
#define GIPC_LOCK__ALL (1ULL << 40) /* more tickets than are ever drawn */
#define GIPC_LOCK__TICK 100000000LL
#define GIPC_LOCK__SLICE 1000000LL /* how long processes that lock again go before sleepers */
#define GIPC_LOCK__GLANCE 200000LL
#define GIPC_LOCK__RUN 65536 /* most unlocks without a hand-over while a waiter is awake */

/* The lock word: package shmsync has the explanation. */
#define GIPC_LOCK__SLEEPERS 1ULL
#define GIPC_LOCK__WOKEN 2ULL
#define GIPC_LOCK__HAND_OVER 4ULL
#define GIPC_LOCK__RESERVED 8ULL
#define GIPC_LOCK__ABANDONED 16ULL
#define GIPC_LOCK__OWNER (~31ULL)
#define GIPC_LOCK__SPOILED GIPC_LOCK__OWNER

enum { GIPC_LOCK__ARRIVED, GIPC_LOCK__SLEPT, GIPC_LOCK__TRYING };

typedef char gipc_lock__words_of_64[sizeof(struct gipc_lock_words) == GIPC_LOCK_SIZE ? 1 : -1];

static inline int gipc_lock__valid_tickets(uint64_t n)
{
	return n >= GIPC_LOCK__LEAST && n < GIPC_LOCK__MOST + GIPC_LOCK__ALL;
}

static inline int gipc_lock__valid_death(uint64_t n)
{
	return n == GIPC__BY_FILE || (n >> 32 && (n & UINT32_MAX) == GIPC__BY_NAMESPACE);
}

/* check returns 1 for a lock, 0 for zeros or an unfinished lock, and an error for anything
 * else. */
static inline int gipc_lock__check(struct gipc_lock_words *w)
{
	uint32_t v = GIPC__LOAD(&w->version), has = GIPC__LOAD(&w->required);
	uint64_t death = GIPC__LOAD(&w->death), tickets = GIPC__LOAD(&w->tickets), magic;
	int begun = (v == 0 || v == GIPC_LOCK_VERSION) && (death == 0 || gipc_lock__valid_death(death)) &&
		    (tickets == 0 || gipc_lock__valid_tickets(tickets)) && has == 0;
	magic = GIPC__LOAD(&w->magic);
	if (magic == 0) { /* others may have finished and locked it meanwhile */
		int used = GIPC__LOAD(&w->lock) || GIPC__LOAD(&w->since) || GIPC__LOAD(&w->turn) || GIPC__LOAD(&w->call);
		return !begun || (used && GIPC__LOAD(&w->magic) != GIPC_LOCK__MAGIC) ? -ENODATA : 0;
	}
	if (magic == __builtin_bswap64(GIPC_LOCK__MAGIC))
		return -EPROTONOSUPPORT;
	if (magic != GIPC_LOCK__MAGIC)
		return -ENODATA;
	if (v != GIPC_LOCK_VERSION || has & ~1u)
		return -EPROTONOSUPPORT;
	if (has) /* a lock for readers and writers */
		return -ENODATA;
	return !begun || death == 0 || tickets == 0 || !GIPC__LOAD(&w->id) ? -EUCLEAN : 1;
}

/* fill stores a value in a word that is still 0. */
static inline void gipc_lock__fill(uint64_t *word, uint64_t value)
{
	uint64_t zero = 0;
	(void)GIPC__CAS(word, &zero, value);
}

/* make fills in the words that are still 0. Several processes may do so at the same
 * time. */
static inline int gipc_lock__make(struct gipc_lock_words *w, int fd)
{
	uint64_t random[2], death = GIPC__BY_FILE;
	uint32_t zero = 0;
	int err;
	if (syscall(SYS_getrandom, random, sizeof random, 0) != (long)sizeof random)
		return -EIO;
	gipc_lock__fill(&w->id, random[0] | 1);
	if (fd < 0) {
		if ((err = gipc__namespace(&death)) < 0)
			return err;
		close(err);
		death = death << 32 | GIPC__BY_NAMESPACE;
	}
	gipc_lock__fill(&w->death, death);
	gipc_lock__fill(&w->tickets, GIPC_LOCK__LEAST + random[1] % (GIPC_LOCK__MOST - GIPC_LOCK__LEAST));
	(void)GIPC__CAS(&w->version, &zero, GIPC_LOCK_VERSION);
	gipc_lock__fill(&w->magic, GIPC_LOCK__MAGIC);
	return gipc_lock__check(w);
}

/* open_file opens the file with the locks, with a description of its own. */
static inline int gipc_lock__open_file(struct gipc_lock_words *w, int fd, int64_t offset)
{
	uint64_t death = GIPC__LOAD(&w->death), id = GIPC__LOAD(&w->id), inode = 0;
	int file;
	if (death == GIPC__BY_FILE) {
		if (fd < 0)
			return -EBADF;
		file = gipc__reopen(fd);
		if (file >= 0 &&
		    !gipc__has(file, offset + (int64_t)offsetof(struct gipc_lock_words, id), &id, sizeof id)) {
			close(file);
			return -EBADF;
		}
		return file;
	}
	file = gipc__namespace(&inode);
	if (file >= 0 && inode != death >> 32) {
		close(file);
		return -EXDEV;
	}
	return file;
}

static inline int gipc_lock__wake_word(uint32_t *word, int n)
{
	long woken = syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
	return woken < 0 ? 0 : (int)woken;
}

/* settle clears WOKEN in the word, because nobody was woken. It returns 1 if a process has
 * gone to sleep meanwhile and relies on being woken. */
static inline int gipc_lock__settle(struct gipc_lock_words *w)
{
	uint64_t v = GIPC__LOAD(&w->lock), next;
	int tries, again = 0;
	for (tries = 0; tries < 4096 && v & GIPC_LOCK__WOKEN; tries++) {
		next = v & ~GIPC_LOCK__WOKEN;
		again = 0;
		if (!(v & GIPC_LOCK__OWNER)) { /* a holder wakes sleepers when it unlocks */
			again = (v & GIPC_LOCK__SLEEPERS) != 0;
			next = again ? v & ~GIPC_LOCK__SLEEPERS : next & ~GIPC_LOCK__RESERVED;
		}
		if (GIPC__CAS(&w->lock, &v, next))
			return again;
	}
	return 0;
}

/* wake wakes up to n sleepers, first those that were woken in vain before. The caller has
 * set WOKEN in the word; if nobody sleeps, wake clears it. */
static inline void gipc_lock__wake(struct gipc_lock_words *w, int n)
{
	int tries;
	for (tries = 0; tries < 4096; tries++) {
		GIPC__ADD(&w->call, 1);
		if ((n -= gipc_lock__wake_word(&w->call, n)) <= 0)
			return;
		GIPC__ADD(&w->turn, 1);
		if (gipc_lock__wake_word(&w->turn, n) > 0 || !gipc_lock__settle(w))
			return;
	}
}

/* take tries to lock, and reports whether it has. It sets *v to the lock word. */
static inline int gipc_lock__take(const struct gipc_lock *l, int rank, uint64_t *v)
{
	int tries;
	*v = GIPC__LOAD(&l->words->lock);
	for (tries = 0; tries < 4096; tries++) { /* a hostile peer must not keep us here */
		uint64_t next = l->self | (*v & (GIPC_LOCK__SLEEPERS | GIPC_LOCK__WOKEN | GIPC_LOCK__ABANDONED));
		if (*v & GIPC_LOCK__OWNER || (*v & GIPC_LOCK__RESERVED && rank == GIPC_LOCK__ARRIVED))
			return 0;
		if (rank == GIPC_LOCK__SLEPT) /* there may be other sleepers */
			next = l->self | GIPC_LOCK__SLEEPERS | (*v & GIPC_LOCK__ABANDONED);
		if (GIPC__CAS(&l->words->lock, v, next)) {
			*v = next;
			return 1;
		}
	}
	return 0;
}

/* sane returns an error if the word v shows that nobody can get the lock any more. */
static inline int gipc_lock__sane(struct gipc_lock_words *w, uint64_t v)
{
	uint64_t owner = v & GIPC_LOCK__OWNER;
	if (owner == GIPC_LOCK__SPOILED)
		return -ENOTRECOVERABLE;
	if ((owner && (v & GIPC_LOCK__RESERVED || GIPC__LOAD(&w->tickets) - (owner >> 5) >= GIPC_LOCK__ALL)) ||
	    GIPC__LOAD(&w->magic) != GIPC_LOCK__MAGIC)
		return -EUCLEAN;
	return 0;
}

/* inherit takes the lock and returns 1 if the holder named by v is dead. No ticket is drawn
 * twice: if the word still has the holder's ticket after the check, the holder died with
 * the lock. */
static inline int gipc_lock__inherit(const struct gipc_lock *l, uint64_t v)
{
	int tries, err;
	for (tries = 0; tries < 4096; tries++) {
		uint64_t owner = v & GIPC_LOCK__OWNER;
		if (!owner || owner == l->self)
			return 0;
		if ((err = gipc_lock__sane(l->words, v)) < 0)
			return err;
		if (gipc__held(l->lifeline, GIPC_LOCK__FIRST + (owner >> 5)))
			return 0;
		if (GIPC__CAS(&l->words->lock, &v, l->self | GIPC_LOCK__SLEEPERS | GIPC_LOCK__ABANDONED))
			return 1;
	}
	return 0;
}

/* watch returns when the lock has been free for a moment, or at once if it is not free. A
 * holder whose slice is not over may have unlocked it only to lock it again. */
static inline void gipc_lock__watch(const struct gipc_lock *l)
{
	int i;
	for (i = 0; i < 32; i++) {
		if (GIPC__LOAD(&l->words->lock) & (GIPC_LOCK__OWNER | GIPC_LOCK__RESERVED))
			return;
		gipc__pause(1);
	}
}

/* plan returns the word with which a waiter goes to sleep, and sets *sleep to the time. A
 * waiter that was woken in vain sleeps in short steps until the holder's slice is over, and
 * then asks the holder to hand over the lock. */
static inline uint64_t gipc_lock__plan(const struct gipc_lock *l, uint64_t v, int rank, int eager, int64_t *sleep)
{
	uint64_t used;
	*sleep = GIPC_LOCK__TICK;
	if (!(v & GIPC_LOCK__OWNER)) /* reserved */
		return v | GIPC_LOCK__SLEEPERS;
	if (!eager)
		return rank == GIPC_LOCK__SLEPT ? (v | GIPC_LOCK__SLEEPERS) & ~GIPC_LOCK__WOKEN : v | GIPC_LOCK__SLEEPERS;
	/* If a process in another time namespace stored since, the slice seems to be over. */
	used = (uint64_t)gipc__now() - GIPC__LOAD(&l->words->since);
	if (used >= (uint64_t)GIPC_LOCK__SLICE)
		return (v | GIPC_LOCK__SLEEPERS | GIPC_LOCK__HAND_OVER) & ~GIPC_LOCK__WOKEN;
	*sleep = GIPC_LOCK__SLICE - (int64_t)used;
	if (*sleep > GIPC_LOCK__GLANCE)
		*sleep = GIPC_LOCK__GLANCE;
	return v | GIPC_LOCK__WOKEN;
}

/* pass has another waiter woken, because the waiter that gives up may have been woken. */
static inline void gipc_lock__pass(const struct gipc_lock *l)
{
	struct gipc_lock_words *w = l->words;
	uint64_t v = GIPC__LOAD(&w->lock);
	int tries;
	for (tries = 0; tries < 4096; tries++) {
		int held = (v & GIPC_LOCK__OWNER) != 0;
		if ((v & GIPC_LOCK__OWNER) == GIPC_LOCK__SPOILED)
			return;
		if (!GIPC__CAS(&w->lock, &v,
			       held ? (v | GIPC_LOCK__SLEEPERS) & ~GIPC_LOCK__WOKEN :
				      (v & ~GIPC_LOCK__SLEEPERS) | GIPC_LOCK__WOKEN))
			continue;
		if (!held)
			gipc_lock__wake(w, 1);
		return;
	}
}

/* doze sleeps on a futex. It returns 1 when woken, 0 when the time is over, or -EINTR. */
static inline int gipc_lock__doze(uint32_t *word, uint32_t value, int64_t sleep)
{
	struct {
		long sec, nsec;
	} tick = { 0, 0 };
	tick.nsec = (long)sleep;
	if (!syscall(SYS_futex, word, FUTEX_WAIT, value, &tick, NULL, 0) || errno == EAGAIN)
		return 1;
	return errno == EINTR ? -EINTR : 0;
}

/* wait waits for the lock, as gipc_lock_acquire does. */
static inline int gipc_lock__wait(struct gipc_lock *l, int64_t deadline)
{
	struct gipc_lock_words *w = l->words;
	int rank = GIPC_LOCK__ARRIVED, eager = 0, err;
	for (;;) {
		uint32_t *word = eager ? &w->call : &w->turn, turn;
		uint64_t v, next;
		int64_t sleep, left;
		if (eager)
			gipc_lock__watch(l);
		if (gipc_lock__take(l, rank, &v)) {
			if (rank == GIPC_LOCK__SLEPT)
				GIPC__STORE(&w->since, (uint64_t)gipc__now());
			return (v & GIPC_LOCK__ABANDONED) != 0;
		}
		if ((err = gipc_lock__sane(w, v)) < 0)
			return err;
		left = deadline == INT64_MAX ? INT64_MAX : deadline - gipc__now();
		turn = GIPC__LOAD(word);
		next = gipc_lock__plan(l, v, rank, eager, &sleep);
		if (left > 0 && !GIPC__CAS(&w->lock, &v, next))
			continue;
		err = left <= 0 ? -ETIMEDOUT : gipc_lock__doze(word, turn, sleep < left ? sleep : left);
		if (err < 0 && (left > 0 || rank == GIPC_LOCK__SLEPT)) /* it has slept */
			gipc_lock__pass(l);
		rank = GIPC_LOCK__SLEPT;
		if (err < 0)
			return err;
		if (err > 0)
			eager = 1;
		else if (sleep == GIPC_LOCK__TICK && sleep <= left &&
			 (err = gipc_lock__inherit(l, GIPC__LOAD(&w->lock))) != 0)
			return err;
	}
}

/* Public functions. */

/* gipc_lock_close ends the use of the lock. -EBUSY: it is held through this handle. */
GIPC_API int gipc_lock_close(struct gipc_lock *l)
{
	if (l->lifeline < 0)
		return -EBADF;
	if ((GIPC__LOAD(&l->words->lock) & GIPC_LOCK__OWNER) == l->self)
		return -EBUSY;
	gipc__forget(&l->lifeline);
	return 0;
}

/* gipc_lock_forget closes the handle in a child of fork; the parent keeps its own. */
GIPC_API void gipc_lock_forget(struct gipc_lock *l)
{
	gipc__forget(&l->lifeline);
}

/* gipc_lock_open opens the lock in the GIPC_LOCK_SIZE bytes at mem, a multiple of 64, which
 * are mapped shared and writable from the file of descriptor fd, at the offset. For memory
 * without a file, fd is -1. Zeros become a lock that nobody holds, whichever process opens
 * it first.
 *
 * -ENODATA: the memory holds something else, or a lock for readers and writers.
 * -EPROTONOSUPPORT: another version or byte order. -EINVAL: mem is not a multiple of 64.
 * -EBADF: fd is not the file with this lock. -EXDEV: another IPC namespace. -EUCLEAN:
 * corrupt. Or an error of open(2). */
GIPC_API int gipc_lock_open(struct gipc_lock *l, void *mem, int fd, int64_t offset)
{
	struct gipc_lock_words *w = (struct gipc_lock_words *)mem;
	uint64_t ticket;
	int err;
	memset(l, 0, sizeof *l);
	l->lifeline = -1;
	if ((uintptr_t)mem % 64)
		return -EINVAL;
	if ((err = gipc_lock__check(w)) == 0)
		err = gipc_lock__make(w, fd);
	if (err <= 0)
		return err ? err : -EUCLEAN;
	if ((err = gipc_lock__open_file(w, fd, offset)) < 0)
		return err;
	l->words = w;
	l->lifeline = err;
	l->spin = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	ticket = GIPC__ADD(&w->tickets, 1) + 1;
	l->self = ticket << 5;
	err = gipc_lock__valid_tickets(ticket) ? gipc__set_lock(l->lifeline, F_RDLCK, GIPC_LOCK__FIRST + ticket, 1) : -EUCLEAN;
	if (!err && gipc__held(l->lifeline, GIPC_LOCK__FIRST + ticket))
		err = -EUCLEAN; /* another handle has this ticket */
	if (err < 0)
		gipc__forget(&l->lifeline);
	return err;
}

/* gipc_lock_acquire waits for the lock and takes it. It returns 0, or 1 if the previous
 * holder died and the protected data may be half changed. Then repair the data and call
 * gipc_lock_mark_consistent before gipc_lock_release.
 *
 * -ETIMEDOUT, -EINTR. -EDEADLK: this handle holds it. -ENOTRECOVERABLE: a holder that was
 * told of a death released it without marking it consistent. -EUCLEAN. */
GIPC_API int gipc_lock_acquire(struct gipc_lock *l, int64_t timeout)
{
	uint64_t v;
	int spun, err;
	if (l->lifeline < 0)
		return -EBADF;
	if (gipc_lock__take(l, timeout ? GIPC_LOCK__ARRIVED : GIPC_LOCK__TRYING, &v))
		return (v & GIPC_LOCK__ABANDONED) != 0;
	if ((v & GIPC_LOCK__OWNER) == l->self)
		return -EDEADLK;
	if (!timeout)
		return (err = gipc_lock__inherit(l, v)) ? err : -ETIMEDOUT;
	/* Do not spin if others wait: one more running process would slow the holder down. */
	for (spun = 0; l->spin && spun < 512 && !(v & (GIPC_LOCK__SLEEPERS | GIPC_LOCK__WOKEN)); spun += 16) {
		gipc__pause(16);
		if (gipc_lock__take(l, GIPC_LOCK__ARRIVED, &v))
			return (v & GIPC_LOCK__ABANDONED) != 0;
	}
	return gipc_lock__wait(l, gipc__deadline(timeout));
}

/* gipc_lock_mark_consistent declares that the data of a dead holder has been repaired. It
 * does nothing if no holder died. -EPERM: the lock is not held through this handle. */
GIPC_API int gipc_lock_mark_consistent(struct gipc_lock *l)
{
	uint64_t v;
	int tries;
	if (l->lifeline < 0)
		return -EBADF;
	v = GIPC__LOAD(&l->words->lock);
	for (tries = 0; tries < 4096; tries++) {
		if ((v & GIPC_LOCK__OWNER) != l->self)
			return -EPERM;
		if (!(v & GIPC_LOCK__ABANDONED) || GIPC__CAS(&l->words->lock, &v, v & ~GIPC_LOCK__ABANDONED))
			return 0;
	}
	return -EUCLEAN;
}

/* gipc_lock_release releases the lock. If gipc_lock_acquire returned 1 and
 * gipc_lock_mark_consistent was not called, nobody can get the lock any more. -EPERM: it is
 * not held through this handle. */
GIPC_API int gipc_lock_release(struct gipc_lock *l)
{
	struct gipc_lock_words *w = l->words;
	uint64_t v, next;
	int tries, wake, run;
	if (l->lifeline < 0)
		return -EBADF;
	v = GIPC__LOAD(&w->lock);
	for (tries = 0; tries < 4096; tries++) {
		if ((v & GIPC_LOCK__OWNER) != l->self)
			return -EPERM;
		wake = 0;
		run = 0;
		next = v & (GIPC_LOCK__SLEEPERS | GIPC_LOCK__WOKEN);
		if (v & GIPC_LOCK__ABANDONED) {
			next = GIPC_LOCK__SPOILED;
			wake = INT_MAX;
		} else if (v & GIPC_LOCK__HAND_OVER || (v & GIPC_LOCK__WOKEN && l->run >= GIPC_LOCK__RUN)) {
			next = GIPC_LOCK__RESERVED | GIPC_LOCK__WOKEN;
			wake = 1;
		} else if (v & GIPC_LOCK__WOKEN) { /* somebody was woken already */
			run = l->run + 1;
		} else if (v & GIPC_LOCK__SLEEPERS) {
			next = GIPC_LOCK__WOKEN;
			wake = 1;
		}
		if (!GIPC__CAS(&w->lock, &v, next))
			continue;
		l->run = run;
		if (wake)
			gipc_lock__wake(w, wake);
		return 0;
	}
	return -EUCLEAN;
}

#ifdef __cplusplus
}
#endif

#endif
