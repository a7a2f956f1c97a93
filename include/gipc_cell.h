/* gipc_cell.h: the latest value of a type in shared memory, for C and C++.
 *
 * A cell holds a value such as a configuration, a position or the state of a program. A
 * load returns a whole value and never makes a writer wait; several processes may store.
 * Package shmring of github.com/sysvipc/gipc is the same in Go, and docs/broadcast.md
 * specifies the memory.
 *
 *	struct point { int32_t X, Y; double Weight; } point;
 *	struct gipc_cell cell;
 *	uint64_t version = 0;
 *	err = gipc_cell_open(&cell, mem, size, fd, 0, sizeof point, "{X@0 int32;Y@4 int32;Weight@8 float64;}");
 *	if (err < 0)
 *		...strerror(-err)...
 *	while ((err = gipc_cell_wait(&cell, &point, &version, -1)) == 0)
 *		...point is new...
 *	gipc_cell_close(&cell);
 *
 * gipc_base.h has the rules for handles, timeouts, errors, forks and other processes, and
 * functions for named objects.
 */
#ifndef GIPC_CELL_H
#define GIPC_CELL_H

#include "gipc_base.h"
#include "gipc_lock.h"
#include <sched.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GIPC_CELL_VERSION 1

/* The header of the memory: see docs/broadcast.md. All accesses to it are atomic. */
struct gipc_cell_header {
	struct gipc_preamble preamble;
	uint64_t stored;
	char zero0[248];
	uint32_t sleep;
	char zero1[252];
	struct gipc_lock_words lock;
	char zero2[2400];
	uint64_t value, hash; /* bytes of a value, and the hash of its type's description */
	char type[976];
};

/* A cell in the memory of this process. It has two descriptors. */
struct gipc_cell {
	struct gipc_base base;
	struct gipc_cell_header *header;
	struct gipc_lock lock;
	char *copies;
	uint64_t value, stride; /* bytes of a value, and from one copy to the next */
};

/* Internal, not for callers. */

#define GIPC_CELL__MAGIC 0x6c6c656363706967ULL
#define GIPC_CELL__COPIES 4u

typedef char gipc_cell__sleep_at_384[offsetof(struct gipc_cell_header, sleep) == 384 ? 1 : -1];
typedef char gipc_cell__lock_at_640[offsetof(struct gipc_cell_header, lock) == 640 ? 1 : -1];
typedef char gipc_cell__value_at_3104[offsetof(struct gipc_cell_header, value) == 3104 ? 1 : -1];
typedef char gipc_cell__header_of_4096[sizeof(struct gipc_cell_header) == GIPC__HEADER ? 1 : -1];

/* hash is FNV-1a. */
static inline uint64_t gipc_cell__hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
	return hash;
}

/* describe returns type or, if that is NULL, the description of an array of bytes. */
static inline const char *gipc_cell__describe(const char *type, uint64_t value, char *text, size_t size)
{
	if (type)
		return type;
	snprintf(text, size, "[%llu]uint8", (unsigned long long)value);
	return text;
}

static inline int gipc_cell__value_ok(uint64_t value)
{
	return value <= 1ULL << 40 && (uint64_t)(size_t)value == value;
}

/* Public functions. */

/* gipc_cell_size returns how many bytes of memory a cell takes if a value has this size. */
GIPC_API uint64_t gipc_cell_size(uint64_t value)
{
	return GIPC__HEADER + GIPC_CELL__COPIES * gipc__extent(value);
}

/* gipc_cell_forget closes the handle in a child of fork; the parent keeps its own. */
GIPC_API void gipc_cell_forget(struct gipc_cell *c)
{
	gipc_lock_forget(&c->lock);
	gipc__forget(&c->base.file);
}

/* gipc_cell_close ends the use of the cell. -EBUSY: it is locked through this handle. */
GIPC_API int gipc_cell_close(struct gipc_cell *c)
{
	int err = gipc_lock_close(&c->lock);
	if (!err)
		gipc__forget(&c->base.file);
	return err;
}

/* gipc_cell_open opens the cell in the size bytes of memory at mem. A value has value
 * bytes, and type describes its type as docs/ring.md specifies. NULL stands for an array of
 * bytes, such as [64]byte in Go.
 *
 * -EPROTOTYPE: the cell has another type, which header->type describes. The other errors
 * are those of gipc_ring_open. */
GIPC_API int gipc_cell_open(struct gipc_cell *c, void *mem, uint64_t size, int fd, int64_t offset, uint64_t value,
			    const char *type)
{
	struct gipc_cell_header *h = (struct gipc_cell_header *)mem;
	char text[40];
	uint64_t required;
	int err;
	memset(c, 0, sizeof *c);
	c->base.file = c->lock.lifeline = -1;
	if (!gipc_cell__value_ok(value))
		return -EINVAL;
	if ((err = gipc__identify(&h->preamble, size, GIPC_CELL__MAGIC, GIPC_CELL_VERSION, 0, &required)) < 0)
		return err;
	if (GIPC__LOAD(&h->preamble.states) != GIPC__HEADER || GIPC__LOAD(&h->preamble.data) != GIPC__HEADER)
		return -EUCLEAN;
	c->header = h;
	if (GIPC__LOAD(&h->value) != value ||
	    GIPC__LOAD(&h->hash) != gipc_cell__hash(gipc_cell__describe(type, value, text, sizeof text)))
		return -EPROTOTYPE;
	if (size < gipc_cell_size(value))
		return -EUCLEAN;
	c->copies = (char *)mem + GIPC__HEADER;
	c->value = value;
	c->stride = gipc__extent(value);
	if ((err = gipc__open(&c->base, &h->preamble, NULL, NULL, fd, offset)) < 0)
		return err;
	err = gipc_lock_open(&c->lock, &h->lock, fd, offset + (int64_t)offsetof(struct gipc_cell_header, lock));
	if (err < 0)
		gipc__forget(&c->base.file);
	return err;
}

/* gipc_cell_create lays out a cell, whose value is zero, and opens it. mem is a multiple of
 * 64. The rest is as for gipc_ring_create. */
GIPC_API int gipc_cell_create(struct gipc_cell *c, void *mem, uint64_t size, int fd, int64_t offset, uint64_t value,
			      const char *type)
{
	struct gipc_cell_header *h = (struct gipc_cell_header *)mem;
	char text[40];
	const char *described = gipc_cell__describe(type, value, text, sizeof text);
	size_t length = strlen(described);
	int err;
	c->base.file = c->lock.lifeline = -1;
	if ((uintptr_t)mem % 64 || !gipc_cell__value_ok(value))
		return -EINVAL;
	if (gipc_cell_size(value) > size)
		return -ERANGE;
	err = gipc__write(&h->preamble, size, fd, offset, GIPC_CELL_VERSION, value, GIPC__HEADER, GIPC__HEADER);
	if (err < 0)
		return err;
	memset((char *)mem + GIPC__HEADER, 0, (size_t)value);
	h->value = value;
	h->hash = gipc_cell__hash(described);
	memcpy(h->type, described, length < sizeof h->type ? length : sizeof h->type);
	GIPC__STORE(&h->preamble.magic, GIPC_CELL__MAGIC);
	return gipc_cell_open(c, mem, size, fd, offset, value, type);
}

struct gipc_cell__how {
	uint64_t value;
	const char *type;
};

static inline int gipc_cell__lay_out(struct gipc_object *o, const void *p)
{
	const struct gipc_cell__how *how = (const struct gipc_cell__how *)p;
	struct gipc_cell made;
	int err = gipc_cell_create(&made, o->mem, o->size, o->fd, 0, how->value, how->type);
	return err ? err : gipc_cell_close(&made);
}

/* gipc_cell_open_or_make opens the cell in the object with a name such as "/config", or makes
 * both. mode has the permission bits of a new object, such as 0600. In the end, call
 * gipc_cell_close and gipc_object_remove_last or gipc_object_close. The errors are those of
 * gipc_object_open, gipc_object_make, gipc_cell_create and gipc_cell_open. */
GIPC_API int gipc_cell_open_or_make(struct gipc_cell *c, struct gipc_object *o, const char *name, uint64_t value,
				    const char *type, unsigned mode)
{
	struct gipc_cell__how how;
	int err;
	how.value = value;
	how.type = type;
	err = gipc__object_open_or_make(o, name, gipc_cell_size(value), mode, gipc_cell__lay_out, &how);
	if (err < 0)
		return err;
	err = gipc_cell_open(c, o->mem, o->size, o->fd, 0, value, type);
	if (err < 0)
		gipc_object_close(o);
	return err;
}

/* gipc_cell_load copies the cell's value, always a whole one, to value, and sets *version
 * to its version. Before the first store, the value is zero and its version 0. It does not
 * wait. -EBUSY: writers were faster 4096 times. */
GIPC_API int gipc_cell_load(const struct gipc_cell *c, void *value, uint64_t *version)
{
	int tries;
	if (c->base.file < 0)
		return -EBADF;
	for (tries = 0; tries < 4096; tries++) {
		uint64_t v = GIPC__LOAD(&c->header->stored);
		if (c->value)
			memcpy(value, c->copies + v % GIPC_CELL__COPIES * c->stride, (size_t)c->value);
		GIPC__FENCE(); /* the copy is made before the load that follows */
		if (GIPC__LOAD(&c->header->stored) - v < GIPC_CELL__COPIES - 1) {
			*version = v;
			return 0;
		}
		sched_yield();
	}
	return -EBUSY;
}

/* gipc_cell_lock keeps other writers away until gipc_cell_unlock, so that a value can be
 * loaded, changed and replaced. If the previous holder died, there is nothing to repair:
 * the value is the old one or the new one. -ETIMEDOUT, -EINTR, -EDEADLK, -EUCLEAN. */
GIPC_API int gipc_cell_lock(struct gipc_cell *c, int64_t timeout)
{
	int got = gipc_lock_acquire(&c->lock, timeout);
	return got == 1 ? gipc_lock_mark_consistent(&c->lock) : got;
}

/* gipc_cell_unlock ends gipc_cell_lock. -EPERM: it is not locked. */
GIPC_API int gipc_cell_unlock(struct gipc_cell *c)
{
	return gipc_lock_release(&c->lock);
}

/* gipc_cell_replace stores a value while the cell is locked, wakes processes that wait for
 * one, and sets *version, unless version is NULL. -EPERM: it is not locked. */
GIPC_API int gipc_cell_replace(struct gipc_cell *c, const void *value, uint64_t *version)
{
	struct gipc_cell_header *h = c->header;
	uint64_t v;
	if (c->lock.lifeline < 0)
		return -EBADF;
	if ((GIPC__LOAD(&h->lock.lock) & GIPC_LOCK__OWNER) != c->lock.self)
		return -EPERM;
	v = GIPC__LOAD(&h->stored) + 1;
	GIPC__FENCE(); /* a load that sees any of the new value sees this stored, or a later one */
	if (c->value)
		memcpy(c->copies + v % GIPC_CELL__COPIES * c->stride, value, (size_t)c->value);
	GIPC__STORE(&h->stored, v);
	gipc__wake(&h->sleep);
	if (version)
		*version = v;
	return 0;
}

/* gipc_cell_store replaces the value, wakes processes that wait for one, and sets *version
 * to the number of stores so far, unless version is NULL. It waits while another writer
 * stores, but never for a reader. Errors are those of gipc_cell_lock. */
GIPC_API int gipc_cell_store(struct gipc_cell *c, const void *value, uint64_t *version, int64_t timeout)
{
	int err = gipc_cell_lock(c, timeout);
	if (err < 0)
		return err;
	err = gipc_cell_replace(c, value, version);
	(void)gipc_cell_unlock(c);
	return err;
}

/* gipc_cell_wait waits until there is a version newer than *version, loads it, and sets
 * *version. It skips versions in between. -ETIMEDOUT, -EINTR, or an error of
 * gipc_cell_load. */
GIPC_API int gipc_cell_wait(const struct gipc_cell *c, void *value, uint64_t *version, int64_t timeout)
{
	struct gipc_cell_header *h = c->header;
	int64_t deadline;
	int spun, err;
	if (c->base.file < 0)
		return -EBADF;
	for (spun = 0; GIPC__LOAD(&h->stored) <= *version; spun += 32) {
		if (!timeout)
			return -ETIMEDOUT;
		if (!c->base.spin || spun >= 4096)
			break;
		gipc__pause(32);
	}
	deadline = gipc__deadline(timeout);
	while (GIPC__LOAD(&h->stored) <= *version) {
		uint32_t v = GIPC__OR(&h->sleep, 1) | 1;
		if (GIPC__LOAD(&h->stored) > *version)
			break;
		if ((err = gipc__sleep(&h->sleep, v, deadline)) < 0)
			return err;
	}
	return gipc_cell_load(c, value, version);
}

#ifdef __cplusplus
}
#endif

#endif
