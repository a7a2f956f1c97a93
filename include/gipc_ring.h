/* gipc_ring.h: messages between processes through shared memory, for C and C++.
 *
 * A ring has one consumer, and one producer at a time or up to 64. Package shmring of
 * github.com/sysvipc/gipc is the same in Go, and docs/ring.md specifies the memory.
 *
 *	struct gipc_ring ring;
 *	struct gipc_ring_producer out;
 *	if ((err = gipc_ring_open(&ring, mem, size, fd, 0)) < 0 ||
 *	    (err = gipc_ring_join_producer(&out, &ring)) < 0)
 *		...strerror(-err)...
 *	err = gipc_ring_send(&out, "hello", 5, -1);
 *	gipc_ring_leave_producer(&out);
 *	gipc_ring_close(&ring);
 *
 * Nothing here prints, exits, allocates or keeps state of its own. A function that can
 * fail returns a negative errno. A handle (ring, producer, consumer) is for one thread at
 * a time; several threads join several times. The memory must stay mapped while a handle
 * is used. A time to wait is in nanoseconds: negative waits for ever, 0 not at all. A wait
 * ends with -EINTR when a signal handler has run.
 *
 * Whether others live is told by the kernel: each handle has an open file description of
 * its own with a lock in it (F_OFD_SETLK), and needs a /proc. The lock goes when the
 * process ends, or replaces itself by execve(2). A child of fork(2) shares it: in a child
 * that goes on without execve call gipc_ring_forget_producer and _consumer first.
 *
 * It needs Linux 3.15 or later, and GCC or Clang for a machine with lock-free 64-bit atomics.
 *
 * What another process may have written is checked before it is used; one that breaks
 * the rules makes calls fail with -EUCLEAN, or messages wrong, and causes no access
 * outside the memory. It can change a message while it is read: copy what is checked.
 */
#ifndef GIPC_RING_H
#define GIPC_RING_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GIPC_RING_VERSION 2
#define GIPC_RING_SLOTS 64 /* producers at a time */
#define GIPC_RING_UNIT 64  /* a record takes a multiple of this */

/* Flags of gipc_ring_create. */
#define GIPC_RING_MANY 1u /* several producers; otherwise one at a time */

/* A member is who has a role. */
struct gipc_ring_member {
	uint64_t ticket; /* 0 nobody, all ones a consumer that has left */
	uint32_t pid, pid_namespace;
	uint64_t start, zero;
};

/* The header of the memory: docs/ring.md. Everything in it is accessed atomically. */
struct gipc_ring_header {
	uint64_t magic;
	uint32_t version, header_size;
	uint64_t compatible, required;
	uint64_t id[2];
	uint64_t size, capacity, states, data;
	uint32_t unit, slots, death, zero0;
	uint64_t locks, ipc_namespace, boot, zero1;
	uint64_t tail;
	char zero2[120];
	uint64_t head;
	uint32_t seen_joins, seen_deaths;
	char zero3[112];
	uint32_t consumer_sleeps;
	char zero4[124];
	uint32_t producers_sleep;
	char zero5[124];
	uint32_t joins, deaths;
	uint64_t tickets;
	char zero6[368];
	struct gipc_ring_member members[GIPC_RING_SLOTS + 1]; /* the last is the consumer */
	char zero7[992];
};

/* A ring in the memory of this process. */
struct gipc_ring {
	struct gipc_ring_header *header;
	uint64_t *states;
	char *data;
	uint64_t capacity, mask; /* of the data, in bytes */
	uint64_t locks;          /* offset of the locks in their file */
	int file;                /* the file with the locks, -1 when closed */
	int many, spin;
	struct gipc_ring_member self;
};

/* A producer puts messages into a ring. */
struct gipc_ring_producer {
	struct gipc_ring ring;
	int slot, lifeline; /* lifeline: descriptor with our lock, -1 when left */
	uint64_t ticket;
	uint64_t tail, head, stale;
	uint64_t claim, length; /* of the claim under way; claim is 0 without one */
	int64_t looked;         /* when, without waiting, for whether the consumer lives */
};

/* A consumer takes messages out of a ring. */
struct gipc_ring_consumer {
	struct gipc_ring ring;
	int lifeline;
	uint64_t ticket;
	uint64_t next, free, asleep;
	int64_t looked;
};

/* What follows up to the next such line is not for callers. */

#define GIPC_RING__MAGIC 0x676e697263706967ULL
#define GIPC_RING__HEADER 4096u
#define GIPC_RING__GONE UINT64_MAX
#define GIPC_RING__CONSUMER GIPC_RING_SLOTS
#define GIPC_RING__SWEEP (1ULL << 54)
#define GIPC_RING__TICK 150000000LL
#define GIPC_RING__LOAD(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define GIPC_RING__STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define GIPC_RING__ADD(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define GIPC_RING__CAS(p, from, to) \
	__atomic_compare_exchange_n((p), (from), (to), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

enum { GIPC_RING__FREE, GIPC_RING__CLAIMED, GIPC_RING__COMMITTED, GIPC_RING__SKIPPED };
enum { GIPC_RING__BY_FILE = 1, GIPC_RING__BY_NAMESPACE = 2 };

typedef char gipc_ring__tail_at_128[offsetof(struct gipc_ring_header, tail) == 128 ? 1 : -1];
typedef char gipc_ring__head_at_256[offsetof(struct gipc_ring_header, head) == 256 ? 1 : -1];
typedef char gipc_ring__sleep_at_512[offsetof(struct gipc_ring_header, producers_sleep) == 512 ? 1 : -1];
typedef char gipc_ring__members_at_1024[offsetof(struct gipc_ring_header, members) == 1024 ? 1 : -1];
typedef char gipc_ring__header_of_4096[sizeof(struct gipc_ring_header) == GIPC_RING__HEADER ? 1 : -1];

static inline int64_t gipc_ring__now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* deadline returns when a wait is over: INT64_MAX for never. */
static inline int64_t gipc_ring__deadline(int64_t timeout)
{
	int64_t now;
	if (timeout < 0)
		return INT64_MAX;
	now = gipc_ring__now();
	return timeout > INT64_MAX - now ? INT64_MAX : now + timeout;
}

/* due reports whether to look now who lives, at most once in a tick. */
static inline int gipc_ring__due(int64_t *looked)
{
	int64_t now = gipc_ring__now();
	if (*looked && now - *looked < GIPC_RING__TICK)
		return 0;
	*looked = now;
	return 1;
}

static inline void gipc_ring__pause(int n)
{
	while (n-- > 0)
#if defined __x86_64__ || defined __i386__
		__builtin_ia32_pause();
#elif defined __aarch64__
		__asm__ volatile("isb" ::: "memory");
#else
		__asm__ volatile("" ::: "memory");
#endif
}

/* lock sets or asks for a lock on the byte of a role. It does not use struct flock, whose
 * offsets may have 32 bits. */
static inline int gipc_ring__lock(const struct gipc_ring *r, int fd, int command, short *type, int role)
{
	struct {
		short type, whence;
		int64_t start, length;
		int pid;
	} lock;
	memset(&lock, 0, sizeof lock);
	lock.type = *type;
	lock.whence = SEEK_SET;
	lock.start = (int64_t)r->locks + role;
	lock.length = 1;
#ifdef SYS_fcntl64
	if (syscall(SYS_fcntl64, fd, command, &lock) < 0)
#else
	if (syscall(SYS_fcntl, fd, command, &lock) < 0)
#endif
		return -errno;
	*type = lock.type;
	return 0;
}

static inline void gipc_ring__unhold(const struct gipc_ring *r, int fd, int role)
{
	short type = F_UNLCK;
	(void)gipc_ring__lock(r, fd, 37 /* F_OFD_SETLK */, &type, role);
}

/* held reports whether another handle holds a role; in doubt it does. */
static inline int gipc_ring__held(const struct gipc_ring *r, int fd, int role)
{
	short type = F_WRLCK;
	return gipc_ring__lock(r, fd, 36 /* F_OFD_GETLK */, &type, role) < 0 || type != F_UNLCK;
}

/* hold takes a role's lock, unless the ring is being removed. The file of a ring refuses
 * the lock then; that of a namespace, where the byte after presence says it, does not. */
static inline int gipc_ring__hold(const struct gipc_ring *r, int fd, int role)
{
	short type = F_RDLCK;
	int err = gipc_ring__lock(r, fd, 37 /* F_OFD_SETLK */, &type, role);
	if (err < 0 || GIPC_RING__LOAD(&r->header->death) != GIPC_RING__BY_NAMESPACE || !gipc_ring__held(r, fd, 66))
		return err;
	gipc_ring__unhold(r, fd, role);
	return -EBUSY;
}

/* reopen makes an open file description of our own: that of fd may be shared. */
static inline int gipc_ring__reopen(int fd)
{
	char path[40];
	int own;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	do
		own = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (own < 0 && errno == EINTR);
	return own < 0 ? -errno : own;
}

static inline int gipc_ring__namespace(uint64_t *inode)
{
	struct stat st;
	int fd = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		int err = -errno;
		close(fd);
		return err;
	}
	*inode = st.st_ino;
	return fd;
}

/* read_text reads a short file of /proc. */
static inline int gipc_ring__read_text(const char *path, char *text, size_t size)
{
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	text[n] = 0;
	return 0;
}

static inline uint64_t gipc_ring__boot(void)
{
	char text[64], digits[17], *p;
	int n = 0;
	if (gipc_ring__read_text("/proc/sys/kernel/random/boot_id", text, sizeof text) < 0)
		return 0;
	for (p = text; *p && n < 16; p++)
		if (*p != '-')
			digits[n++] = *p;
	digits[n] = 0;
	return strtoull(digits, NULL, 16);
}

/* self fills in who we are. */
static inline void gipc_ring__self(struct gipc_ring_member *m)
{
	char text[1024], *p;
	struct stat st;
	int field;
	memset(m, 0, sizeof *m);
	m->pid = (uint32_t)getpid();
	if (!stat("/proc/self/ns/pid", &st))
		m->pid_namespace = (uint32_t)st.st_ino;
	if (gipc_ring__read_text("/proc/self/stat", text, sizeof text) < 0 || !(p = strrchr(text, ')')))
		return;
	for (p++, field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		m->start = strtoull(p, NULL, 10);
}

static inline uint64_t gipc_ring__extent(uint64_t length)
{
	return length ? (length + GIPC_RING_UNIT - 1) & ~(uint64_t)(GIPC_RING_UNIT - 1) : GIPC_RING_UNIT;
}

static inline uint64_t gipc_ring__data_offset(uint64_t capacity)
{
	return (GIPC_RING__HEADER + capacity / 8 + 4095) & ~(uint64_t)4095;
}

static inline uint64_t gipc_ring__word(const struct gipc_ring *r, uint64_t pos, uint64_t length, int slot, int state)
{
	return ((pos & ~r->mask) | length) << 8 | (uint64_t)slot << 2 | (uint64_t)state;
}

static inline int gipc_ring__current(const struct gipc_ring *r, uint64_t w, uint64_t pos)
{
	return (w & 3) != GIPC_RING__FREE && ((w >> 8 ^ pos) & ~r->mask) << 8 == 0;
}

static inline int gipc_ring__ahead(const struct gipc_ring *r, uint64_t w, uint64_t pos)
{
	return (w & 3) != GIPC_RING__FREE && (int64_t)(((w >> 8 & ~r->mask) - (pos & ~r->mask)) << 8) > 0;
}

static inline uint64_t gipc_ring__length(const struct gipc_ring *r, uint64_t w)
{
	return w >> 8 & r->mask;
}

static inline uint64_t *gipc_ring__state(const struct gipc_ring *r, uint64_t pos)
{
	return &r->states[(pos & r->mask) / GIPC_RING_UNIT];
}

static inline void gipc_ring__wake(uint32_t *word)
{
	uint32_t v = GIPC_RING__LOAD(word);
	if (v & 1 && GIPC_RING__CAS(word, &v, (v + 2) & ~1u))
		syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* wake_at wakes the consumer if it sleeps and waits for the record at pos, which is over
 * now. With many producers it may wait for a claim before that. */
static inline void gipc_ring__wake_at(const struct gipc_ring *r, uint64_t pos)
{
	struct gipc_ring_header *h = r->header;
	if (GIPC_RING__LOAD(&h->consumer_sleeps) & 1 && (!r->many || GIPC_RING__LOAD(&h->head) == pos))
		gipc_ring__wake(&h->consumer_sleeps);
}

/* sleep sleeps for a tick at most, unless the word is woken. */
static inline int gipc_ring__sleep(uint32_t *word, uint32_t value, int64_t deadline)
{
	struct {
		long sec, nsec;
	} tick = { 0, 0 };
	int64_t left = GIPC_RING__TICK;
	if (deadline != INT64_MAX && deadline - gipc_ring__now() < left)
		left = deadline - gipc_ring__now();
	if (left <= 0)
		return -ETIMEDOUT;
	tick.nsec = (long)left;
	if (syscall(SYS_futex, word, FUTEX_WAIT, value, &tick, NULL, 0) < 0 && errno == EINTR)
		return -EINTR;
	return 0;
}

static inline int gipc_ring__vacant(uint64_t ticket)
{
	return ticket == 0 || ticket == GIPC_RING__GONE;
}

/* dead reports whether the process with a role has ended, and its ticket. The lock was
 * there before the ticket, and stays until after it. */
static inline int gipc_ring__dead(const struct gipc_ring *r, int fd, int role, uint64_t *ticket)
{
	uint64_t *word = &r->header->members[role].ticket;
	*ticket = GIPC_RING__LOAD(word);
	return !gipc_ring__vacant(*ticket) && !gipc_ring__held(r, fd, role) && GIPC_RING__LOAD(word) == *ticket;
}

/* take takes a role from who had it: 1, 0 if somebody else was faster, or an error. */
static inline int gipc_ring__take(const struct gipc_ring *r, int fd, int role, uint64_t from, uint64_t *ticket)
{
	struct gipc_ring_member *m = &r->header->members[role];
	int err = gipc_ring__hold(r, fd, role);
	if (err < 0)
		return err;
	*ticket = GIPC_RING__ADD(&r->header->tickets, 1) + 1;
	if (gipc_ring__vacant(*ticket))
		err = -EUCLEAN;
	if (err < 0 || !GIPC_RING__CAS(&m->ticket, &from, *ticket)) {
		gipc_ring__unhold(r, fd, role);
		return err;
	}
	GIPC_RING__STORE(&m->pid, r->self.pid);
	GIPC_RING__STORE(&m->pid_namespace, r->self.pid_namespace);
	GIPC_RING__STORE(&m->start, r->self.start);
	return 1;
}

static inline void gipc_ring__leave(const struct gipc_ring *r, int fd, int role, uint64_t ticket)
{
	uint64_t to = role == GIPC_RING__CONSUMER ? GIPC_RING__GONE : 0;
	(void)GIPC_RING__CAS(&r->header->members[role].ticket, &ticket, to);
	gipc_ring__unhold(r, fd, role);
}

/* withdraw_all withdraws the claims of a slot whose process is dead. */
static inline void gipc_ring__withdraw_all(const struct gipc_ring *r, int slot)
{
	uint64_t first = GIPC_RING__LOAD(&r->header->head), pos = first;
	while (pos - first < r->capacity) {
		uint64_t *word = gipc_ring__state(r, pos), w = GIPC_RING__LOAD(word);
		if (!gipc_ring__current(r, w, pos)) {
			uint64_t head = GIPC_RING__LOAD(&r->header->head);
			if (head == pos || head - pos > r->capacity)
				return;
			pos = head;
			continue;
		}
		pos += gipc_ring__extent(gipc_ring__length(r, w));
		if ((w & 3) == GIPC_RING__CLAIMED && (int)(w >> 2 & 63) == slot)
			(void)GIPC_RING__CAS(word, &w, w | GIPC_RING__SKIPPED);
	}
}

/* bury takes over the role of a dead producer, as take does. */
static inline int gipc_ring__bury(const struct gipc_ring *r, int fd, int slot, uint64_t *ticket)
{
	uint64_t was;
	int got;
	if (!gipc_ring__dead(r, fd, slot, &was))
		return 0;
	got = gipc_ring__take(r, fd, slot, was, ticket);
	if (got > 0) {
		if (r->many)
			gipc_ring__withdraw_all(r, slot);
		GIPC_RING__ADD(&r->header->deaths, 1);
	}
	return got;
}

static inline int gipc_ring__slots(const struct gipc_ring *r)
{
	return r->many ? GIPC_RING_SLOTS : 1;
}

/* has_ring reports whether the file has this ring at the offset. */
static inline int gipc_ring__has_ring(int fd, int64_t offset, const uint64_t id[2])
{
	uint64_t there[2];
	offset += (int64_t)offsetof(struct gipc_ring_header, id);
	if (offset != (int64_t)(off_t)offset)
		return 0;
	return pread(fd, there, sizeof there, (off_t)offset) == (ssize_t)sizeof there && !memcmp(there, id, sizeof there);
}

/* clear_data makes memory zero that is mapped from the offset of fd on. What is a hole, or
 * was set aside and never written, is zero already, and would take memory when touched. */
static inline void gipc_ring__clear_data(char *mem, uint64_t size, int fd, int64_t offset)
{
	int64_t at = offset, end = offset + (int64_t)size;
	while (at < end) {
		int64_t from = at, to = end;
		if (fd >= 0 && end == (int64_t)(off_t)end) {
			from = lseek(fd, (off_t)at, 3 /* SEEK_DATA */);
			if ((from < 0 && errno == ENXIO) || from >= end)
				return; /* nothing but a hole */
			to = from < 0 ? -1 : lseek(fd, (off_t)from, 4 /* SEEK_HOLE */);
			if (to < 0)
				from = at;
			if (to < 0 || to > end)
				to = end;
		}
		memset(mem + (from - offset), 0, (size_t)(to - from));
		at = to;
	}
}

/* open_locks opens the file with the locks. */
static inline int gipc_ring__open_locks(const struct gipc_ring_header *h, int fd, int64_t offset)
{
	uint64_t id[2] = { GIPC_RING__LOAD(&h->id[0]), GIPC_RING__LOAD(&h->id[1]) }, inode = 0;
	int file;
	if (GIPC_RING__LOAD(&h->death) == GIPC_RING__BY_FILE) {
		if (fd < 0)
			return -EBADF;
		file = gipc_ring__reopen(fd);
		if (file >= 0 && !gipc_ring__has_ring(file, offset, id)) {
			close(file);
			return -EBADF;
		}
		return file;
	}
	file = gipc_ring__namespace(&inode);
	if (file >= 0 && inode != GIPC_RING__LOAD(&h->ipc_namespace)) {
		close(file);
		return -EXDEV;
	}
	return file;
}

/* check_boot returns -ESTALE if nobody in the ring lives and it is in a file on a disk,
 * from an earlier run of the system. */
static inline int gipc_ring__check_boot(const struct gipc_ring *r)
{
	uint64_t made = GIPC_RING__LOAD(&r->header->boot), now = gipc_ring__boot();
	struct statfs fs;
	int i;
	if (made == now || !made || !now || GIPC_RING__LOAD(&r->header->death) != GIPC_RING__BY_FILE ||
	    fstatfs(r->file, &fs) < 0)
		return 0;
	switch ((uint32_t)fs.f_type) {
	case 0x01021994: /* tmpfs */
	case 0x958458f6: /* hugetlbfs */
	case 0x858458f6: /* ramfs */
		return 0;
	}
	for (i = 0; i <= GIPC_RING_SLOTS; i++)
		if (gipc_ring__held(r, r->file, i))
			return 0;
	return -ESTALE;
}

/* Functions for callers from here on. */

/* gipc_ring_size returns how many bytes of memory a ring of a capacity takes. */
static inline uint64_t gipc_ring_size(uint64_t capacity)
{
	return gipc_ring__data_offset(capacity) + capacity;
}

/* gipc_ring_close releases the descriptor that the ring has. Producers and consumers that
 * have joined stay. */
static inline void gipc_ring_close(struct gipc_ring *r)
{
	if (r->file >= 0)
		close(r->file);
	r->file = -1;
}

/* gipc_ring_open opens the ring that is in size bytes of memory at mem, mapped shared and
 * writable from offset on of the file of descriptor fd. Memory without a file (a System V
 * segment, anonymous memory) has fd -1. The caller may close fd afterwards.
 *
 * -ENODATA: no ring, or none that is finished yet. -EPROTONOSUPPORT: another version or
 * byte order. -ERANGE: the ring is not of this size. -EINVAL: mem is no multiple of 8.
 * -EBADF: fd is not the file with this ring. -EXDEV: another IPC namespace. -ESTALE: in a
 * file on a disk, left from before the system was started. -EUCLEAN: corrupt. Or an error
 * of open(2) on /proc. */
static inline int gipc_ring_open(struct gipc_ring *r, void *mem, uint64_t size, int fd, int64_t offset)
{
	struct gipc_ring_header *h = (struct gipc_ring_header *)mem;
	uint64_t magic, capacity, required;
	int err;
	memset(r, 0, sizeof *r);
	r->file = -1;
	if ((uintptr_t)mem % 8)
		return -EINVAL;
	if (size < GIPC_RING__HEADER)
		return -ENODATA;
	magic = GIPC_RING__LOAD(&h->magic);
	if (magic == __builtin_bswap64(GIPC_RING__MAGIC))
		return -EPROTONOSUPPORT;
	if (magic != GIPC_RING__MAGIC)
		return -ENODATA;
	required = GIPC_RING__LOAD(&h->required);
	if (GIPC_RING__LOAD(&h->version) != GIPC_RING_VERSION || required & ~(uint64_t)GIPC_RING_MANY)
		return -EPROTONOSUPPORT;
	if (GIPC_RING__LOAD(&h->size) != size)
		return -ERANGE;
	capacity = GIPC_RING__LOAD(&h->capacity);
	r->locks = GIPC_RING__LOAD(&h->locks);
	if (capacity < 4096 || capacity > 1ULL << 40 || capacity & (capacity - 1) || gipc_ring_size(capacity) > size ||
	    GIPC_RING__LOAD(&h->header_size) != GIPC_RING__HEADER || GIPC_RING__LOAD(&h->states) != GIPC_RING__HEADER ||
	    GIPC_RING__LOAD(&h->data) != gipc_ring__data_offset(capacity) || GIPC_RING__LOAD(&h->unit) != GIPC_RING_UNIT ||
	    GIPC_RING__LOAD(&h->slots) != GIPC_RING_SLOTS || r->locks % 128 || r->locks >= 1ULL << 62 ||
	    GIPC_RING__LOAD(&h->death) - 1u > 1u)
		return -EUCLEAN;
	r->header = h;
	r->states = (uint64_t *)((char *)mem + GIPC_RING__HEADER);
	r->data = (char *)mem + gipc_ring__data_offset(capacity);
	r->capacity = capacity;
	r->mask = capacity - 1;
	r->many = (required & GIPC_RING_MANY) != 0;
	r->spin = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	gipc_ring__self(&r->self);
	if ((r->file = gipc_ring__open_locks(h, fd, offset)) < 0) {
		err = r->file;
		r->file = -1;
		return err;
	}
	if ((err = gipc_ring__check_boot(r)) < 0)
		gipc_ring_close(r);
	return err;
}

/* gipc_ring_create lays out an empty ring and opens it; the rest is as for gipc_ring_open.
 * The capacity is a power of two from 4096 on. What was in the memory is lost: no other
 * process may use it meanwhile. -ERANGE: the memory is too small for the capacity. */
static inline int gipc_ring_create(struct gipc_ring *r, void *mem, uint64_t size, int fd, int64_t offset,
				   uint64_t capacity, unsigned flags)
{
	struct gipc_ring_header *h = (struct gipc_ring_header *)mem;
	uint64_t inode = 0, id[2];
	int file;
	r->file = -1;
	if ((uintptr_t)mem % 8 || capacity < 4096 || capacity > 1ULL << 40 || capacity & (capacity - 1) ||
	    flags & ~GIPC_RING_MANY)
		return -EINVAL;
	if (gipc_ring_size(capacity) > size)
		return -ERANGE;
	if (syscall(SYS_getrandom, id, sizeof id, 0) != (long)sizeof id)
		return -EIO;
	file = fd < 0 ? gipc_ring__namespace(&inode) : gipc_ring__reopen(fd);
	if (file < 0)
		return file;
	GIPC_RING__STORE(&h->magic, 0); /* nobody opens it until it is finished */
	memset((char *)mem + 8, 0, GIPC_RING__HEADER - 8);
	gipc_ring__clear_data((char *)mem + GIPC_RING__HEADER, gipc_ring__data_offset(capacity) - GIPC_RING__HEADER,
			      fd < 0 ? -1 : file, offset + GIPC_RING__HEADER);
	close(file);
	h->version = GIPC_RING_VERSION;
	h->header_size = GIPC_RING__HEADER;
	h->required = flags;
	h->id[0] = id[0];
	h->id[1] = id[1];
	h->size = size;
	h->capacity = capacity;
	h->states = GIPC_RING__HEADER;
	h->data = gipc_ring__data_offset(capacity);
	h->unit = GIPC_RING_UNIT;
	h->slots = GIPC_RING_SLOTS;
	h->death = fd < 0 ? GIPC_RING__BY_NAMESPACE : GIPC_RING__BY_FILE;
	h->locks = id[0] % (1ULL << 55) * 128;
	h->ipc_namespace = inode;
	h->boot = gipc_ring__boot();
	h->tail = h->head = capacity; /* the first lap is 1: zero words belong to none */
	GIPC_RING__STORE(&h->magic, GIPC_RING__MAGIC);
	return gipc_ring_open(r, mem, size, fd, offset);
}

/* gipc_ring_max_message returns the length of the longest message. */
static inline uint64_t gipc_ring_max_message(const struct gipc_ring *r)
{
	return r->capacity / 2;
}

/* gipc_ring_forget_producer, in a child of fork, lets go of the handle: only the parent
 * has the role. */
static inline void gipc_ring_forget_producer(struct gipc_ring_producer *p)
{
	if (p->lifeline >= 0)
		close(p->lifeline);
	p->lifeline = -1;
}

/* gipc_ring_forget_consumer is the same for a consumer. */
static inline void gipc_ring_forget_consumer(struct gipc_ring_consumer *c)
{
	if (c->lifeline >= 0)
		close(c->lifeline);
	c->lifeline = -1;
}

/* clear makes pos, where a record ends, free of what a dead producer left. */
static inline void gipc_ring__clear(struct gipc_ring_producer *p, uint64_t pos)
{
	if ((int64_t)(p->stale - pos) > 0)
		GIPC_RING__STORE(gipc_ring__state(&p->ring, pos), 0);
}

/* find_tail follows the records to where the producer before us ended. */
static inline int gipc_ring__find_tail(struct gipc_ring_producer *p)
{
	const struct gipc_ring *r = &p->ring;
	p->tail = p->head;
	if (p->head % GIPC_RING_UNIT)
		return -EUCLEAN;
	while (p->tail - p->head < r->capacity) {
		uint64_t w = GIPC_RING__LOAD(gipc_ring__state(r, p->tail)), size;
		if (!gipc_ring__current(r, w, p->tail) || (w & 3) < GIPC_RING__COMMITTED)
			break;
		size = gipc_ring__extent(gipc_ring__length(r, w));
		if ((p->tail & r->mask) + size > r->capacity)
			return -EUCLEAN;
		p->tail += size;
	}
	p->stale = p->head + r->capacity;
	gipc_ring__clear(p, p->tail);
	return 0;
}

/* gipc_ring_join_producer joins the ring. -EBUSY: all its producers are there and alive.
 * -EUCLEAN; or an error of open(2). */
static inline int gipc_ring_join_producer(struct gipc_ring_producer *p, const struct gipc_ring *r)
{
	int i, got = 0, all = gipc_ring__slots(r);
	memset(p, 0, sizeof *p);
	p->ring = *r;
	p->lifeline = r->file < 0 ? -EBADF : gipc_ring__reopen(r->file);
	if (p->lifeline < 0) {
		got = p->lifeline;
		p->lifeline = -1;
		return got;
	}
	for (i = 0; i < 2 * all && !got; i++) {
		p->slot = i % all;
		if (i >= all)
			got = gipc_ring__bury(r, p->lifeline, p->slot, &p->ticket);
		else if (!GIPC_RING__LOAD(&r->header->members[i].ticket))
			got = gipc_ring__take(r, p->lifeline, i, 0, &p->ticket);
	}
	if (!got)
		got = -EBUSY;
	if (got > 0) {
		p->head = GIPC_RING__LOAD(&r->header->head);
		if (!r->many && (got = gipc_ring__find_tail(p)) < 0)
			gipc_ring__leave(r, p->lifeline, p->slot, p->ticket);
	}
	if (got < 0) {
		gipc_ring_forget_producer(p);
		return got;
	}
	GIPC_RING__ADD(&r->header->joins, 1);
	gipc_ring__wake(&r->header->consumer_sleeps); /* it has somebody more to watch */
	return 0;
}

/* gipc_ring_check_consumer returns -EPIPE if the consumer has left, -EOWNERDEAD if its
 * process has ended, 0 otherwise, also before the first has come. */
static inline int gipc_ring_check_consumer(const struct gipc_ring_producer *p)
{
	uint64_t ticket;
	int dead;
	if (p->lifeline < 0)
		return -EBADF;
	dead = gipc_ring__dead(&p->ring, p->lifeline, GIPC_RING__CONSUMER, &ticket);
	return ticket == GIPC_RING__GONE ? -EPIPE : dead ? -EOWNERDEAD : 0;
}

/* room returns 1 if size bytes from pos on are free. */
static inline int gipc_ring__room(struct gipc_ring_producer *p, uint64_t pos, uint64_t size)
{
	uint64_t head, capacity = p->ring.capacity;
	if (pos - p->head <= capacity - size)
		return 1;
	head = GIPC_RING__LOAD(&p->ring.header->head);
	if (pos - head > capacity || head % GIPC_RING_UNIT)
		return -EUCLEAN;
	p->head = head;
	return pos - head <= capacity - size;
}

static inline int gipc_ring__reserve_alone(struct gipc_ring_producer *p, uint64_t length)
{
	const struct gipc_ring *r = &p->ring;
	uint64_t size = gipc_ring__extent(length), rest = r->capacity - (p->tail & r->mask);
	int ok;
	if (rest < size) {
		if ((ok = gipc_ring__room(p, p->tail, rest)) <= 0)
			return ok;
		gipc_ring__clear(p, p->tail + rest);
		GIPC_RING__STORE(gipc_ring__state(r, p->tail), gipc_ring__word(r, p->tail, rest, 0, GIPC_RING__SKIPPED));
		p->tail += rest;
	}
	if ((ok = gipc_ring__room(p, p->tail, size)) > 0) {
		p->claim = p->tail;
		p->length = length;
	}
	return ok;
}

/* reserve_shared claims a record by a compare-and-swap of the state word at the tail. */
static inline int gipc_ring__reserve_shared(struct gipc_ring_producer *p, uint64_t length)
{
	const struct gipc_ring *r = &p->ring;
	uint64_t size = gipc_ring__extent(length), *shared = &r->header->tail;
	int tries, ok;
	for (tries = 0; tries < 4096; tries++) { /* a mad peer must not keep us here */
		uint64_t tail = GIPC_RING__LOAD(shared), at = tail & r->mask, old = tail;
		uint64_t *word = gipc_ring__state(r, tail), w = GIPC_RING__LOAD(word), take = size, mine;
		if (tail % GIPC_RING_UNIT)
			return -EUCLEAN;
		/* Others may have gone on so far that the consumer has swept the word: it would seem
		 * to be free. While tail stays there, what begins there is not consumed. */
		if (GIPC_RING__LOAD(shared) != tail)
			continue;
		if (gipc_ring__current(r, w, tail)) { /* a record is there already */
			uint64_t n = gipc_ring__extent(gipc_ring__length(r, w));
			if (at + n > r->capacity)
				return -EUCLEAN;
			(void)GIPC_RING__CAS(shared, &old, tail + n);
			continue;
		}
		if (gipc_ring__ahead(r, w, tail))
			return -EUCLEAN;
		mine = gipc_ring__word(r, tail, length, p->slot, GIPC_RING__CLAIMED);
		if (r->capacity - at < size) {
			take = r->capacity - at;
			mine = gipc_ring__word(r, tail, take, p->slot, GIPC_RING__SKIPPED);
		}
		ok = gipc_ring__room(p, tail, take);
		if (ok < 0 && GIPC_RING__LOAD(shared) != tail)
			continue; /* the head that was loaded is a later one */
		if (ok <= 0)
			return ok;
		if (!GIPC_RING__CAS(word, &w, mine))
			continue;
		(void)GIPC_RING__CAS(shared, &old, tail + take);
		if ((mine & 3) == GIPC_RING__CLAIMED) {
			p->claim = tail;
			p->length = length;
			return 1;
		}
		gipc_ring__wake_at(r, tail);
	}
	return 0;
}

static inline int gipc_ring__reserve(struct gipc_ring_producer *p, uint64_t length)
{
	if (GIPC_RING__LOAD(&p->ring.header->members[GIPC_RING__CONSUMER].ticket) == GIPC_RING__GONE)
		return -EPIPE;
	return p->ring.many ? gipc_ring__reserve_shared(p, length) : gipc_ring__reserve_alone(p, length);
}

/* gipc_ring_claim takes room for a message of n bytes, from 0 to gipc_ring_max_message,
 * and sets *msg to where it is to be written. A producer has one claim at a time, to be
 * ended by gipc_ring_commit or gipc_ring_abort. It waits while the ring is full.
 *
 * -ETIMEDOUT, -EINTR. -EMSGSIZE: n is too large. -EALREADY: a claim is under way. -EPIPE:
 * the consumer has left. -EOWNERDEAD: its process has ended. -EUCLEAN. */
static inline int gipc_ring_claim(struct gipc_ring_producer *p, uint64_t n, void **msg, int64_t timeout)
{
	uint32_t *word = &p->ring.header->producers_sleep;
	int64_t deadline, checked;
	int ok, spun;
	if (p->lifeline < 0)
		return -EBADF;
	if (p->claim)
		return -EALREADY;
	if (n > p->ring.capacity / 2)
		return -EMSGSIZE;
	ok = gipc_ring__reserve(p, n);
	if (!ok && timeout) {
		for (spun = 0; !ok && p->ring.spin && spun < 4096; spun += 64) {
			gipc_ring__pause(64);
			ok = gipc_ring__reserve(p, n);
		}
		deadline = gipc_ring__deadline(timeout);
		checked = gipc_ring__now();
		while (!ok) {
			uint32_t v = __atomic_fetch_or(word, 1, __ATOMIC_SEQ_CST) | 1;
			if ((ok = gipc_ring__reserve(p, n)) || (ok = gipc_ring__sleep(word, v, deadline)) < 0)
				break;
			if (gipc_ring__now() - checked >= GIPC_RING__TICK) {
				checked = gipc_ring__now();
				if ((ok = gipc_ring_check_consumer(p)) < 0)
					break;
			}
		}
	}
	if (!ok && gipc_ring__due(&p->looked) && (ok = gipc_ring_check_consumer(p)) < 0)
		p->looked = 0; /* the next call says so too */
	if (ok <= 0)
		return ok ? ok : -ETIMEDOUT;
	*msg = p->ring.data + (p->claim & p->ring.mask);
	return 0;
}

/* gipc_ring_commit makes the first n bytes of the claim a message, and wakes the consumer
 * if it sleeps. -EINVAL: there is no claim of so many. -EUCLEAN. */
static inline int gipc_ring_commit(struct gipc_ring_producer *p, uint64_t n)
{
	const struct gipc_ring *r = &p->ring;
	uint64_t pos = p->claim, size = gipc_ring__extent(n), rest, w, message;
	if (!pos || n > p->length)
		return -EINVAL;
	p->claim = 0;
	message = gipc_ring__word(r, pos, n, p->slot, GIPC_RING__COMMITTED);
	if (!r->many) {
		p->tail = pos + size;
		gipc_ring__clear(p, p->tail);
		GIPC_RING__STORE(gipc_ring__state(r, pos), message);
	} else {
		if ((rest = gipc_ring__extent(p->length) - size) > 0) /* it becomes a record of its own */
			GIPC_RING__STORE(gipc_ring__state(r, pos + size),
					 gipc_ring__word(r, pos + size, rest, p->slot, GIPC_RING__SKIPPED));
		w = gipc_ring__word(r, pos, p->length, p->slot, GIPC_RING__CLAIMED);
		if (!GIPC_RING__CAS(gipc_ring__state(r, pos), &w, message))
			return -EUCLEAN;
	}
	gipc_ring__wake_at(r, pos);
	return 0;
}

/* gipc_ring_abort gives the claim back: no message. -EINVAL: there is none. -EUCLEAN. */
static inline int gipc_ring_abort(struct gipc_ring_producer *p)
{
	const struct gipc_ring *r = &p->ring;
	uint64_t pos = p->claim, w;
	if (!pos)
		return -EINVAL;
	p->claim = 0;
	if (!r->many)
		return 0; /* nobody has seen it */
	w = gipc_ring__word(r, pos, p->length, p->slot, GIPC_RING__CLAIMED);
	if (!GIPC_RING__CAS(gipc_ring__state(r, pos), &w, w | GIPC_RING__SKIPPED))
		return -EUCLEAN;
	gipc_ring__wake_at(r, pos);
	return 0;
}

/* gipc_ring_send sends a copy of n bytes. Errors are those of gipc_ring_claim. */
static inline int gipc_ring_send(struct gipc_ring_producer *p, const void *msg, uint64_t n, int64_t timeout)
{
	void *to;
	int err = gipc_ring_claim(p, n, &to, timeout);
	if (err < 0)
		return err;
	if (n)
		memcpy(to, msg, n);
	return gipc_ring_commit(p, n);
}

/* gipc_ring_leave_producer leaves the ring, giving back a claim under way. What was sent
 * will be received. */
static inline int gipc_ring_leave_producer(struct gipc_ring_producer *p)
{
	int err = p->claim ? gipc_ring_abort(p) : 0;
	if (p->lifeline < 0)
		return -EBADF;
	gipc_ring__leave(&p->ring, p->lifeline, p->slot, p->ticket);
	gipc_ring__wake(&p->ring.header->consumer_sleeps);
	gipc_ring_forget_producer(p);
	return err;
}

/* gipc_ring_join_consumer takes the consumer's role. What a consumer before, whose process
 * has ended, had not released is received again. -EBUSY: there is another one, alive.
 * -EUCLEAN; or an error of open(2). */
static inline int gipc_ring_join_consumer(struct gipc_ring_consumer *c, const struct gipc_ring *r)
{
	uint64_t was;
	int dead, got = 0;
	memset(c, 0, sizeof *c);
	c->ring = *r;
	c->lifeline = r->file < 0 ? -EBADF : gipc_ring__reopen(r->file);
	if (c->lifeline < 0) {
		got = c->lifeline;
		c->lifeline = -1;
		return got;
	}
	dead = gipc_ring__dead(r, c->lifeline, GIPC_RING__CONSUMER, &was);
	if (dead || gipc_ring__vacant(was))
		got = gipc_ring__take(r, c->lifeline, GIPC_RING__CONSUMER, was, &c->ticket);
	if (got > 0) {
		c->next = c->free = GIPC_RING__LOAD(&r->header->head);
		if (!(c->next % GIPC_RING_UNIT)) {
			gipc_ring__wake(&r->header->producers_sleep); /* they now have us to watch */
			return 0;
		}
		gipc_ring__leave(r, c->lifeline, GIPC_RING__CONSUMER, c->ticket);
		got = -EUCLEAN;
	}
	gipc_ring_forget_consumer(c);
	return got ? got : -EBUSY;
}

/* gipc_ring_release gives the memory of all messages received back to the producers.
 * gipc_ring_receive does so first. */
static inline void gipc_ring_release(struct gipc_ring_consumer *c)
{
	const struct gipc_ring *r = &c->ring;
	struct gipc_ring_header *h = r->header;
	uint64_t pos = c->free;
	if (pos == c->next)
		return;
	c->free = c->next;
	GIPC_RING__STORE(&h->head, c->next);
	if (c->next % GIPC_RING__SWEEP < 2 * r->capacity)
		for (; pos != c->next; pos += GIPC_RING_UNIT) {
			uint64_t w = GIPC_RING__LOAD(gipc_ring__state(r, pos));
			if (!gipc_ring__current(r, w, pos + r->capacity))
				(void)GIPC_RING__CAS(gipc_ring__state(r, pos), &w,
						     gipc_ring__word(r, pos, 0, 0, GIPC_RING__FREE));
		}
	if (GIPC_RING__LOAD(&h->producers_sleep) & 1) {
		if (!c->asleep)
			c->asleep = c->next;
		if (c->next - c->asleep >= r->capacity / 2) {
			c->asleep = 0;
			gipc_ring__wake(&h->producers_sleep);
		}
	}
}

/* look hands out the next message: 1, or 0 if there is none. */
static inline int gipc_ring__look(struct gipc_ring_consumer *c, const void **msg, uint64_t *n)
{
	const struct gipc_ring *r = &c->ring;
	uint64_t first = c->next;
	while (c->next - first < r->capacity) {
		uint64_t w = GIPC_RING__LOAD(gipc_ring__state(r, c->next)), at = c->next & r->mask, length, size;
		if (!gipc_ring__current(r, w, c->next) || (w & 3) < GIPC_RING__COMMITTED)
			return 0;
		length = gipc_ring__length(r, w);
		size = gipc_ring__extent(length);
		if (at + size > r->capacity)
			return -EUCLEAN;
		c->next += size;
		if ((w & 3) == GIPC_RING__COMMITTED) {
			*msg = r->data + at;
			*n = length;
			return 1;
		}
	}
	return 0;
}

/* bury_all withdraws what producers that have died left. */
static inline void gipc_ring__bury_all(struct gipc_ring_consumer *c)
{
	uint64_t ticket;
	int i, all = gipc_ring__slots(&c->ring);
	for (i = 0; i < all; i++)
		if (gipc_ring__bury(&c->ring, c->lifeline, i, &ticket) > 0)
			gipc_ring__leave(&c->ring, c->lifeline, i, ticket);
}

/* idle does what is to be done while there is no message: 1 at the end, 0 to go on. */
static inline int gipc_ring__idle(struct gipc_ring_consumer *c)
{
	const struct gipc_ring *r = &c->ring;
	struct gipc_ring_header *h = r->header;
	uint64_t w;
	uint32_t joins, deaths, seen_deaths = GIPC_RING__LOAD(&h->seen_deaths);
	int i;
	gipc_ring_release(c);
	c->asleep = 0;
	gipc_ring__wake(&h->producers_sleep);
	w = GIPC_RING__LOAD(gipc_ring__state(r, c->next));
	if (gipc_ring__ahead(r, w, c->next))
		return -EUCLEAN;
	if (gipc_ring__current(r, w, c->next) && (w & 3) == GIPC_RING__CLAIMED &&
	    !GIPC_RING__LOAD(&h->members[w >> 2 & 63].ticket) && GIPC_RING__LOAD(gipc_ring__state(r, c->next)) == w)
		return -EUCLEAN; /* a claim without an owner */
	/* In this order: who joins takes a role and is counted then, who leaves commits first. */
	joins = GIPC_RING__LOAD(&h->joins);
	deaths = GIPC_RING__LOAD(&h->deaths);
	if (joins == GIPC_RING__LOAD(&h->seen_joins) && deaths == seen_deaths)
		return 0;
	for (i = 0; i < gipc_ring__slots(r); i++)
		if (GIPC_RING__LOAD(&h->members[i].ticket))
			return 0;
	if (GIPC_RING__LOAD(&h->joins) != joins ||
	    gipc_ring__current(r, GIPC_RING__LOAD(gipc_ring__state(r, c->next)), c->next))
		return 0;
	GIPC_RING__STORE(&h->seen_joins, joins);
	GIPC_RING__STORE(&h->seen_deaths, deaths);
	return deaths != seen_deaths ? -EOWNERDEAD : 1;
}

/* gipc_ring_receive sets *msg and *n to the next message and returns 1. The message is in
 * the ring, valid until the next call for this consumer. It waits while the ring is empty.
 *
 * It returns 0 when all producers that had joined have left and all was received, or
 * -EOWNERDEAD if at least one of them has died. Called again it waits for another.
 * -ETIMEDOUT, -EINTR, -EUCLEAN. */
static inline int gipc_ring_receive(struct gipc_ring_consumer *c, const void **msg, uint64_t *n, int64_t timeout)
{
	uint32_t *word = &c->ring.header->consumer_sleeps;
	int64_t deadline, checked;
	int got, idle = 0, spun;
	if (c->lifeline < 0)
		return -EBADF;
	gipc_ring_release(c);
	if ((got = gipc_ring__look(c, msg, n)))
		return got;
	if (!timeout && gipc_ring__due(&c->looked))
		gipc_ring__bury_all(c);
	if ((idle = gipc_ring__idle(c)))
		return idle < 0 ? idle : 0;
	for (spun = 0; timeout && c->ring.spin && spun < 4096; spun += 32) {
		gipc_ring__pause(32);
		if ((got = gipc_ring__look(c, msg, n)))
			return got;
	}
	deadline = gipc_ring__deadline(timeout);
	for (checked = gipc_ring__now();;) {
		uint32_t v = __atomic_fetch_or(word, 1, __ATOMIC_SEQ_CST) | 1;
		int tries, moved = 1;
		for (tries = 0; moved && tries < 16; tries++) { /* head has moved: see wake_at */
			if ((got = gipc_ring__look(c, msg, n)))
				return got;
			moved = c->free != c->next;
			if ((idle = gipc_ring__idle(c)))
				return idle < 0 ? idle : 0;
		}
		if ((got = gipc_ring__sleep(word, v, deadline)) < 0)
			return got;
		if (gipc_ring__now() - checked >= GIPC_RING__TICK) {
			checked = gipc_ring__now();
			gipc_ring__bury_all(c);
		}
	}
}

/* gipc_ring_leave_consumer releases what was received and gives up the role. Producers get
 * -EPIPE until there is another consumer. */
static inline int gipc_ring_leave_consumer(struct gipc_ring_consumer *c)
{
	if (c->lifeline < 0)
		return -EBADF;
	gipc_ring_release(c);
	gipc_ring__leave(&c->ring, c->lifeline, GIPC_RING__CONSUMER, c->ticket);
	gipc_ring__wake(&c->ring.header->producers_sleep);
	gipc_ring_forget_consumer(c);
	return 0;
}

#ifdef __cplusplus
}
#endif

#endif
