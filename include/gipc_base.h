/* gipc_base.h: the common part of gipc_ring.h, gipc_broadcast.h, gipc_cell.h and
 * gipc_lock.h, and named objects to keep rings, broadcasts and cells in.
 *
 *	struct gipc_object object;
 *	if ((err = gipc_object_open(&object, "/frames")) == 0)
 *		err = gipc_ring_open(&ring, object.mem, object.size, object.fd, 0);
 *
 * These rules hold for all of the headers.
 *
 * Nothing here prints, exits, allocates or keeps state of its own. A function that can fail
 * returns a negative errno. A handle (ring, producer, reader, lock and so on) is for one
 * thread at a time; several threads join several times. The memory must stay mapped while a
 * handle is used. A timeout is in nanoseconds: a negative one waits for ever, 0 does not
 * wait. A wait ends with -EINTR when a signal handler has run.
 *
 * The kernel's locks show which processes are alive: each handle has an open file
 * description of its own and holds a lock on it (F_OFD_SETLK), which needs /proc. The
 * kernel drops the lock when the process ends or calls execve(2). A child of fork(2) shares
 * it: in a child that does not call execve, first call the forget function of each handle.
 *
 * It needs Linux 3.15 or later, and GCC or Clang for a machine with lock-free 64-bit
 * atomics. With -std=c11 define _GNU_SOURCE.
 *
 * The functions check everything that another process may have written before they use it.
 * A process that breaks the rules can make calls fail with -EUCLEAN or make messages wrong,
 * but it cannot cause an access outside the memory. It can change a message while you read
 * it: copy a message before you check it. If it shortens the file, accesses raise SIGBUS.
 */
#ifndef GIPC_BASE_H
#define GIPC_BASE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The public functions are defined with this. lib/gipc.c sets it to export them. */
#ifndef GIPC_API
#define GIPC_API static inline
#endif

/* A member is a process that has a role. */
struct gipc_member {
	uint64_t ticket; /* 0: the role is free; all ones: its process left in order */
	uint32_t pid, pid_namespace;
	uint64_t start, zero;
};

/* A mark is a note that a producer or writer commits together with messages: see
 * docs/ring.md. These headers write none. */
struct gipc_mark {
	uint64_t since; /* the mark holds once there are messages up to here; 0: no mark */
	uint64_t words[4], zero[3];
};

/* Every ring, broadcast and cell begins with this: see docs/ring.md. All accesses to it are
 * atomic. */
struct gipc_preamble {
	uint64_t magic;
	uint32_t version, header_size;
	uint64_t compatible, required;
	uint64_t id[2];
	uint64_t size, capacity, states, data;
	uint32_t unit, slots, death, zero0;
	uint64_t locks, ipc_namespace, boot, zero1;
};

/* The common part of struct gipc_ring, gipc_broadcast and gipc_cell. */
struct gipc_base {
	struct gipc_preamble *preamble;
	struct gipc_member *members; /* NULL in a cell */
	uint64_t *tickets;
	uint64_t locks; /* offset of the locks in their file */
	int file;       /* the file with the locks, -1 when closed */
	int spin;
	struct gipc_member self;
};

/* An object in /dev/shm, mapped. */
struct gipc_object {
	void *mem;
	uint64_t size;
	int fd; /* its lock shows others that we have it open; -1 when closed */
};

/* Internal, not for callers. */

#define GIPC__HEADER 4096u
#define GIPC__UNIT 64u
#define GIPC__SLOTS 64
#define GIPC__GONE UINT64_MAX
#define GIPC__TICK 150000000LL
#define GIPC__LOAD(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define GIPC__STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define GIPC__ADD(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define GIPC__OR(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define GIPC__AND(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define GIPC__FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define GIPC__CAS(p, from, to) \
	__atomic_compare_exchange_n((p), (from), (to), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

enum { GIPC__BY_FILE = 1, GIPC__BY_NAMESPACE = 2 };

/* The lock bytes after those of roles 0 to 63: the role of the last member, and two for
 * named memory. */
enum { GIPC__LAST = 64, GIPC__PRESENCE, GIPC__REMOVING, GIPC__BYTES };

typedef char gipc__preamble_of_128[sizeof(struct gipc_preamble) == 128 ? 1 : -1];
typedef char gipc__member_of_32[sizeof(struct gipc_member) == 32 ? 1 : -1];

static inline int64_t gipc__now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* deadline returns the time when a wait ends, INT64_MAX for never. */
static inline int64_t gipc__deadline(int64_t timeout)
{
	int64_t now;
	if (timeout < 0)
		return INT64_MAX;
	now = gipc__now();
	return timeout > INT64_MAX - now ? INT64_MAX : now + timeout;
}

/* left returns how long a wait may still take. */
static inline int64_t gipc__left(int64_t deadline)
{
	int64_t left;
	if (deadline == INT64_MAX)
		return -1;
	left = deadline - gipc__now();
	return left > 0 ? left : 0;
}

/* due reports whether to check now which processes live: at most once in a tick. */
static inline int gipc__due(int64_t *looked)
{
	int64_t now = gipc__now();
	if (*looked && now - *looked < GIPC__TICK)
		return 0;
	*looked = now;
	return 1;
}

static inline void gipc__pause(int n)
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

/* reopen opens the file of fd again, because the open file description of fd may be
 * shared. */
static inline int gipc__reopen(int fd)
{
	char path[40];
	int own;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	do
		own = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (own < 0 && errno == EINTR);
	return own < 0 ? -errno : own;
}

static inline int gipc__namespace(uint64_t *inode)
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
static inline int gipc__read_text(const char *path, char *text, size_t size)
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

static inline uint64_t gipc__boot(void)
{
	char text[64], digits[17], *p;
	int n = 0;
	if (gipc__read_text("/proc/sys/kernel/random/boot_id", text, sizeof text) < 0)
		return 0;
	for (p = text; *p && n < 16; p++)
		if (*p != '-')
			digits[n++] = *p;
	digits[n] = 0;
	return strtoull(digits, NULL, 16);
}

/* self fills in who we are. */
static inline void gipc__self(struct gipc_member *m)
{
	char text[1024], *p;
	struct stat st;
	int field;
	memset(m, 0, sizeof *m);
	m->pid = (uint32_t)getpid();
	if (!stat("/proc/self/ns/pid", &st))
		m->pid_namespace = (uint32_t)st.st_ino;
	if (gipc__read_text("/proc/self/stat", text, sizeof text) < 0 || !(p = strrchr(text, ')')))
		return;
	for (p++, field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		m->start = strtoull(p, NULL, 10);
}

static inline uint64_t gipc__extent(uint64_t length)
{
	return length ? (length + GIPC__UNIT - 1) & ~(uint64_t)(GIPC__UNIT - 1) : GIPC__UNIT;
}

/* drop_marks removes a mark whose messages were not committed: those that will end there
 * are others. */
static inline void gipc__drop_marks(struct gipc_mark *marks, uint64_t end)
{
	int i;
	for (i = 0; i < 2; i++)
		if (GIPC__LOAD(&marks[i].since) > end)
			GIPC__STORE(&marks[i].since, (uint64_t)0);
}

static inline void gipc__wake(uint32_t *word)
{
	uint32_t v = GIPC__LOAD(word);
	if (v & 1 && GIPC__CAS(word, &v, (v + 2) & ~1u))
		syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* sleep sleeps until the word is woken, for a tick at most. */
static inline int gipc__sleep(uint32_t *word, uint32_t value, int64_t deadline)
{
	struct {
		long sec, nsec;
	} tick = { 0, 0 };
	int64_t left = GIPC__TICK;
	if (deadline != INT64_MAX && deadline - gipc__now() < left)
		left = deadline - gipc__now();
	if (left <= 0)
		return -ETIMEDOUT;
	tick.nsec = (long)left;
	if (syscall(SYS_futex, word, FUTEX_WAIT, value, &tick, NULL, 0) < 0 && errno == EINTR)
		return -EINTR;
	return 0;
}

/* clear_data zeroes memory that is mapped from fd at the offset. It skips holes and space
 * that was reserved but never written: they are zero already, and touching them would take
 * memory. */
static inline void gipc__clear_data(char *mem, uint64_t size, int fd, int64_t offset)
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

/* lock_bytes sets or queries a lock on n bytes. It does not use struct flock, whose offsets
 * may have 32 bits. */
static inline int gipc__lock_bytes(int fd, int command, short *type, uint64_t byte, int64_t n)
{
	struct {
		short type, whence;
		int64_t start, length;
		int pid;
	} lock;
	memset(&lock, 0, sizeof lock);
	lock.type = *type;
	lock.whence = SEEK_SET;
	lock.start = (int64_t)byte;
	lock.length = n;
#ifdef SYS_fcntl64
	if (syscall(SYS_fcntl64, fd, command, &lock) < 0)
#else
	if (syscall(SYS_fcntl, fd, command, &lock) < 0)
#endif
		return -errno;
	*type = lock.type;
	return 0;
}

/* set_lock sets a lock of the given type, or removes it. */
static inline int gipc__set_lock(int fd, int type, uint64_t byte, int64_t n)
{
	short kind = (short)type;
	return gipc__lock_bytes(fd, 37 /* F_OFD_SETLK */, &kind, byte, n);
}

/* held reports whether another handle holds a byte. It returns true if it cannot find
 * out. */
static inline int gipc__held(int fd, uint64_t byte)
{
	short type = F_WRLCK;
	return gipc__lock_bytes(fd, 36 /* F_OFD_GETLK */, &type, byte, 1) < 0 || type != F_UNLCK;
}

static inline uint64_t gipc__byte(const struct gipc_base *b, int role)
{
	return b->locks + (unsigned)role;
}

/* hold takes a role's lock, unless the memory is being removed. Then the memory's own file
 * refuses the lock. The file of a namespace does not, so hold checks the byte REMOVING
 * there. */
static inline int gipc__hold(const struct gipc_base *b, int fd, int role)
{
	int err = gipc__set_lock(fd, F_RDLCK, gipc__byte(b, role), 1);
	if (err == -EAGAIN || err == -EACCES)
		return -EBUSY;
	if (err < 0 || GIPC__LOAD(&b->preamble->death) != GIPC__BY_NAMESPACE ||
	    !gipc__held(fd, gipc__byte(b, GIPC__REMOVING)))
		return err;
	(void)gipc__set_lock(fd, F_UNLCK, gipc__byte(b, role), 1);
	return -EBUSY;
}

static inline int gipc__vacant(uint64_t ticket)
{
	return ticket == 0 || ticket == GIPC__GONE;
}

/* dead reports whether the process with a role has ended, and sets *ticket to its ticket. A
 * process locks the byte before it stores its ticket, and unlocks it after removing the
 * ticket. */
static inline int gipc__dead(const struct gipc_base *b, int fd, int role, uint64_t *ticket)
{
	uint64_t *word = &b->members[role].ticket;
	*ticket = GIPC__LOAD(word);
	return !gipc__vacant(*ticket) && !gipc__held(fd, gipc__byte(b, role)) && GIPC__LOAD(word) == *ticket;
}

/* take takes the role whose ticket is from. It returns 1, 0 if another process was faster,
 * or an error. */
static inline int gipc__take(const struct gipc_base *b, int fd, int role, uint64_t from, uint64_t *ticket)
{
	struct gipc_member *m = &b->members[role];
	int err = gipc__hold(b, fd, role);
	if (err < 0)
		return err;
	*ticket = GIPC__ADD(b->tickets, 1) + 1;
	if (gipc__vacant(*ticket))
		err = -EUCLEAN;
	if (err < 0 || !GIPC__CAS(&m->ticket, &from, *ticket)) {
		(void)gipc__set_lock(fd, F_UNLCK, gipc__byte(b, role), 1);
		return err;
	}
	GIPC__STORE(&m->pid, b->self.pid);
	GIPC__STORE(&m->pid_namespace, b->self.pid_namespace);
	GIPC__STORE(&m->start, b->self.start);
	return 1;
}

static inline void gipc__leave(const struct gipc_base *b, int fd, int role, uint64_t ticket)
{
	uint64_t to = role == GIPC__LAST ? GIPC__GONE : 0;
	(void)GIPC__CAS(&b->members[role].ticket, &ticket, to);
	(void)gipc__set_lock(fd, F_UNLCK, gipc__byte(b, role), 1);
}

/* has reports whether the n bytes of the file at the offset equal those at mark. */
static inline int gipc__has(int fd, int64_t offset, const void *mark, size_t n)
{
	char there[16];
	if (offset != (int64_t)(off_t)offset || n > sizeof there)
		return 0;
	return pread(fd, there, n, (off_t)offset) == (ssize_t)n && !memcmp(there, mark, n);
}

/* open_locks opens the file with the locks. */
static inline int gipc__open_locks(const struct gipc_preamble *h, int fd, int64_t offset)
{
	uint64_t id[2] = { GIPC__LOAD(&h->id[0]), GIPC__LOAD(&h->id[1]) }, inode = 0;
	int file;
	if (GIPC__LOAD(&h->death) == GIPC__BY_FILE) {
		if (fd < 0)
			return -EBADF;
		file = gipc__reopen(fd);
		if (file >= 0 && !gipc__has(file, offset + (int64_t)offsetof(struct gipc_preamble, id), id, sizeof id)) {
			close(file);
			return -EBADF;
		}
		return file;
	}
	file = gipc__namespace(&inode);
	if (file >= 0 && inode != GIPC__LOAD(&h->ipc_namespace)) {
		close(file);
		return -EXDEV;
	}
	return file;
}

/* check_boot returns -ESTALE if the memory is in a file on a disk, was made before the
 * system last started, and no process in it lives. */
static inline int gipc__check_boot(const struct gipc_base *b)
{
	uint64_t made = GIPC__LOAD(&b->preamble->boot), now = gipc__boot();
	struct statfs fs;
	int i;
	if (made == now || !made || !now || GIPC__LOAD(&b->preamble->death) != GIPC__BY_FILE || fstatfs(b->file, &fs) < 0)
		return 0;
	switch ((uint32_t)fs.f_type) {
	case 0x01021994: /* tmpfs */
	case 0x958458f6: /* hugetlbfs */
	case 0x858458f6: /* ramfs */
		return 0;
	}
	for (i = 0; i <= GIPC__PRESENCE; i++)
		if (gipc__held(b->file, gipc__byte(b, i)))
			return 0;
	return -ESTALE;
}

/* identify checks that the memory holds an object of the given kind, and that all its
 * required features are known. It sets *required to them. */
static inline int gipc__identify(const struct gipc_preamble *h, uint64_t size, uint64_t magic, uint32_t version,
				 uint64_t known, uint64_t *required)
{
	uint64_t m, locks;
	if ((uintptr_t)h % 8)
		return -EINVAL;
	if (size < GIPC__HEADER)
		return -ENODATA;
	m = GIPC__LOAD(&h->magic);
	if (m == __builtin_bswap64(magic))
		return -EPROTONOSUPPORT;
	if (m != magic)
		return -ENODATA;
	*required = GIPC__LOAD(&h->required);
	if (GIPC__LOAD(&h->version) != version || *required & ~known)
		return -EPROTONOSUPPORT;
	if (GIPC__LOAD(&h->size) != size)
		return -ERANGE;
	locks = GIPC__LOAD(&h->locks);
	if (GIPC__LOAD(&h->header_size) != GIPC__HEADER || GIPC__LOAD(&h->unit) != GIPC__UNIT ||
	    GIPC__LOAD(&h->slots) != GIPC__SLOTS || locks % 128 || locks >= 1ULL << 62 || GIPC__LOAD(&h->death) - 1u > 1u)
		return -EUCLEAN;
	return 0;
}

/* open fills in the common part of an object that identify has checked. */
static inline int gipc__open(struct gipc_base *b, struct gipc_preamble *h, struct gipc_member *members,
			     uint64_t *tickets, int fd, int64_t offset)
{
	int err;
	b->preamble = h;
	b->members = members;
	b->tickets = tickets;
	b->locks = GIPC__LOAD(&h->locks) & ~(3ULL << 62);
	b->spin = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	gipc__self(&b->self);
	if ((b->file = gipc__open_locks(h, fd, offset)) < 0) {
		err = b->file;
		b->file = -1;
		return err;
	}
	if ((err = gipc__check_boot(b)) < 0) {
		close(b->file);
		b->file = -1;
	}
	return err;
}

/* join opens the file with the locks once more, for the lock of a handle. */
static inline int gipc__join(const struct gipc_base *b)
{
	return b->file < 0 ? -EBADF : gipc__reopen(b->file);
}

static inline void gipc__forget(int *lifeline)
{
	if (*lifeline >= 0)
		close(*lifeline);
	*lifeline = -1;
}

/* write lays out a new object, except for its magic and the words of its kind, and zeroes
 * everything before the data. */
static inline int gipc__write(struct gipc_preamble *h, uint64_t size, int fd, int64_t offset, uint32_t version,
			      uint64_t capacity, uint64_t states, uint64_t data)
{
	uint64_t inode = 0, id[2];
	int file;
	if (syscall(SYS_getrandom, id, sizeof id, 0) != (long)sizeof id)
		return -EIO;
	file = fd < 0 ? gipc__namespace(&inode) : gipc__reopen(fd);
	if (file < 0)
		return file;
	GIPC__STORE(&h->magic, 0); /* nobody opens it until it is finished */
	memset((char *)h + 8, 0, GIPC__HEADER - 8);
	gipc__clear_data((char *)h + GIPC__HEADER, data - GIPC__HEADER, fd < 0 ? -1 : file, offset + GIPC__HEADER);
	close(file);
	h->version = version;
	h->header_size = GIPC__HEADER;
	h->id[0] = id[0];
	h->id[1] = id[1];
	h->size = size;
	h->capacity = capacity;
	h->states = states;
	h->data = data;
	h->unit = GIPC__UNIT;
	h->slots = GIPC__SLOTS;
	h->death = fd < 0 ? GIPC__BY_NAMESPACE : GIPC__BY_FILE;
	h->locks = id[0] % (1ULL << 55) * 128;
	h->ipc_namespace = inode;
	h->boot = gipc__boot();
	return 0;
}

static inline int gipc__capacity_ok(uint64_t capacity)
{
	return capacity >= 4096 && capacity <= 1ULL << 40 && !(capacity & (capacity - 1));
}

/* object_path turns a name into a path as shm_open(3) does. */
static inline int gipc__object_path(const char *name, char *path, size_t size)
{
	int n;
	while (*name == '/')
		name++;
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	n = snprintf(path, size, "/dev/shm/%s", name);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* object_locks returns the offset of the locks in the object's file, or 0 if the object
 * holds nothing that has its locks there. */
static inline uint64_t gipc__object_locks(const struct gipc_object *o)
{
	struct gipc_preamble *h = (struct gipc_preamble *)o->mem;
	uint64_t locks;
	if (o->size < GIPC__HEADER || !GIPC__LOAD(&h->magic) || GIPC__LOAD(&h->death) != GIPC__BY_FILE)
		return 0;
	locks = GIPC__LOAD(&h->locks);
	return locks % 128 || locks >= 1ULL << 62 ? 0 : locks;
}

/* object_map maps the object of a descriptor. */
static inline int gipc__object_map(struct gipc_object *o, int fd, uint64_t size)
{
	o->mem = MAP_FAILED;
	if ((uint64_t)(size_t)size == size)
		o->mem = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (o->mem == MAP_FAILED)
		return (uint64_t)(size_t)size == size ? -errno : -ENOMEM;
	o->size = size;
	o->fd = fd;
	return 0;
}

/* Public functions. */

/* gipc_object_close unmaps the object and closes its descriptor. First leave and close the
 * ring, broadcast or cell in it. */
GIPC_API void gipc_object_close(struct gipc_object *o)
{
	if (o->fd < 0)
		return;
	munmap(o->mem, (size_t)o->size);
	close(o->fd);
	o->fd = -1;
}

/* gipc_object_open opens the object with a name such as "/frames", as OpenOrCreate of
 * package shmring does: while it is open, no process removes it as unused. It does not wait
 * for the object to be made.
 *
 * -EINVAL, -ENAMETOOLONG: the name is not valid. -EPERM: it belongs neither to this user
 * nor to root. -ENODATA: it is empty. -EBUSY: it is being removed. Or an error of open(2),
 * such as -ENOENT, or of mmap(2). */
GIPC_API int gipc_object_open(struct gipc_object *o, const char *name)
{
	struct timespec pause = { 0, 1000000 };
	char path[280];
	int err = gipc__object_path(name, path, sizeof path), tries, fd;
	memset(o, 0, sizeof *o);
	o->fd = -1;
	for (tries = 0; !err && tries < 100; tries++) {
		struct stat st;
		uint64_t locks;
		fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			return -errno;
		if (fstat(fd, &st) < 0)
			err = -errno;
		else if (!S_ISREG(st.st_mode))
			err = -EINVAL;
		else if (st.st_uid != geteuid() && st.st_uid != 0)
			err = -EPERM;
		else if (st.st_size == 0)
			err = -ENODATA;
		if (err < 0 || (err = gipc__object_map(o, fd, (uint64_t)st.st_size)) < 0) {
			close(fd);
			return err;
		}
		if (!(locks = gipc__object_locks(o)))
			return 0; /* the open function of its kind reports what is wrong */
		if (!gipc__set_lock(fd, F_RDLCK, locks + GIPC__PRESENCE, 1) &&
		    !gipc__held(fd, locks + GIPC__REMOVING) && !fstat(fd, &st) && st.st_nlink > 0)
			return 0;
		gipc_object_close(o); /* it is being removed: the name may soon lead to a new one */
		nanosleep(&pause, NULL);
	}
	return err ? err : -EBUSY;
}

/* gipc_object_adopt maps the whole file of descriptor fd, such as a memfd that was
 * inherited or received through a socket, and takes over the descriptor if it succeeds.
 * -ENODATA: the file is empty. Or an error of fstat(2) or mmap(2). */
GIPC_API int gipc_object_adopt(struct gipc_object *o, int fd)
{
	struct stat st;
	memset(o, 0, sizeof *o);
	o->fd = -1;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0)
		return -ENODATA;
	return gipc__object_map(o, fd, (uint64_t)st.st_size);
}

/* gipc_object_make makes an object of size bytes that has no name yet, so that a killed
 * process leaves nothing behind. Lay out a ring, broadcast or cell in it, then call
 * gipc_object_publish.
 *
 * -ENOSPC: /dev/shm is full. Or an error of open(2) or mmap(2). */
GIPC_API int gipc_object_make(struct gipc_object *o, uint64_t size, unsigned mode)
{
	int err, fd;
	memset(o, 0, sizeof *o);
	o->fd = -1;
	if ((int64_t)size <= 0 || (int64_t)size != (int64_t)(off_t)size)
		return -EINVAL;
#ifndef O_TMPFILE
#define GIPC__TMPFILE (020000000 | O_DIRECTORY)
#else
#define GIPC__TMPFILE O_TMPFILE
#endif
	fd = open("/dev/shm", GIPC__TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	do
		err = -posix_fallocate(fd, 0, (off_t)size);
	while (err == -EINTR);
	if (!err && fchmod(fd, (mode_t)mode) < 0)
		err = -errno;
	if (err < 0 || (err = gipc__object_map(o, fd, size)) < 0)
		close(fd);
	return err;
}

/* gipc_object_publish gives the object its name. -EEXIST: the name is taken; open that
 * object instead. -EINVAL: nothing was laid out in it. Or an error of linkat(2). */
GIPC_API int gipc_object_publish(struct gipc_object *o, const char *name)
{
	char path[280], from[40];
	uint64_t locks = gipc__object_locks(o);
	int err = gipc__object_path(name, path, sizeof path);
	if (!locks && !err)
		err = -EINVAL;
	if (err < 0 || (err = gipc__set_lock(o->fd, F_RDLCK, locks + GIPC__PRESENCE, 1)) < 0)
		return err;
	snprintf(from, sizeof from, "/proc/self/fd/%d", o->fd);
	return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* object_unlink locks n of the lock bytes for writing, beginning with from, and removes the
 * name. */
static inline int gipc__object_unlink(struct gipc_object *o, const char *name, int from, int64_t n)
{
	char path[280];
	struct stat st;
	uint64_t locks = gipc__object_locks(o);
	int err = gipc__object_path(name, path, sizeof path);
	if (!locks && !err)
		err = -EINVAL;
	if (!err)
		err = gipc__set_lock(o->fd, F_WRLCK, locks + (unsigned)from, n);
	if (err == -EAGAIN || err == -EACCES)
		return -EBUSY;
	if (err < 0)
		return err;
	if (fstat(o->fd, &st) < 0 || (st.st_nlink > 0 && unlink(path) < 0))
		return -errno;
	return 0;
}

/* gipc_object_remove removes the name of the object. -EBUSY: another process has the object
 * open, or a handle of this process has joined the ring or broadcast in it. To leave the
 * removal to the last process, use gipc_object_remove_last. */
GIPC_API int gipc_object_remove(struct gipc_object *o, const char *name)
{
	return gipc__object_unlink(o, name, 0, GIPC__BYTES); /* the lock stays until it is closed */
}

/* gipc_object_remove_last removes the name of the object unless another process has the
 * object open. Call it just before gipc_object_close: if all processes do so, the last one
 * removes the name, even if several leave at the same time. 1: the name is removed; 0:
 * another process has it open, or a handle of this process has joined. */
GIPC_API int gipc_object_remove_last(struct gipc_object *o, const char *name)
{
	uint64_t locks = gipc__object_locks(o);
	int err;
	if (locks) /* another process that leaves now must not see this one */
		(void)gipc__set_lock(o->fd, F_UNLCK, locks + GIPC__PRESENCE, 1);
	err = gipc_object_remove(o, name);
	return err == -EBUSY ? 0 : err < 0 ? err : 1;
}

/* gipc_object_unlink removes the name of the object at once. Processes that have it open
 * can still use it. -EBUSY: another process is removing it. */
GIPC_API int gipc_object_unlink(struct gipc_object *o, const char *name)
{
	int err = gipc__object_unlink(o, name, GIPC__REMOVING, 1);
	uint64_t locks = gipc__object_locks(o);
	if (locks)
		(void)gipc__set_lock(o->fd, F_UNLCK, locks + GIPC__REMOVING, 1);
	return err;
}

/* object_open_or_make opens the object with a name. If there is none, it makes one of size
 * bytes, in which lay_out makes what how describes. */
static inline int gipc__object_open_or_make(struct gipc_object *o, const char *name, uint64_t size, unsigned mode,
					    int (*lay_out)(struct gipc_object *o, const void *how), const void *how)
{
	int err;
	while ((err = gipc_object_open(o, name)) == -ENOENT) {
		if ((err = gipc_object_make(o, size, mode)) < 0)
			return err;
		if (!(err = lay_out(o, how)) && !(err = gipc_object_publish(o, name)))
			return 0;
		gipc_object_close(o);
		if (err != -EEXIST) /* EEXIST: another process was faster */
			return err;
	}
	return err;
}

#ifdef __cplusplus
}
#endif

#endif
