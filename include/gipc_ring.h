/* gipc_ring.h: messages between processes through shared memory, for C and C++.
 *
 * A ring has one consumer at a time, and either one producer at a time or up to 64. Package
 * shmring of github.com/sysvipc/gipc is the same in Go, and docs/ring.md specifies the
 * memory.
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
 * gipc_base.h has the rules for handles, timeouts, errors, forks and other processes, and
 * functions for named objects.
 */
#ifndef GIPC_RING_H
#define GIPC_RING_H

#include "gipc_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GIPC_RING_VERSION 2
#define GIPC_RING_SLOTS 64 /* producers at a time */
#define GIPC_RING_UNIT 64  /* a record takes a multiple of this */

/* Flags of gipc_ring_create. */
#define GIPC_RING_MANY 1u /* several producers; otherwise one at a time */

/* The header of the memory: see docs/ring.md. All accesses to it are atomic. */
struct gipc_ring_header {
	struct gipc_preamble preamble;
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
	char zero6[112];
	struct gipc_mark marks[2]; /* of a ring for one producer */
	char zero8[128];
	struct gipc_member members[GIPC_RING_SLOTS + 1]; /* the last is the consumer */
	char zero7[992];
};

/* A ring in the memory of this process. */
struct gipc_ring {
	struct gipc_base base;
	struct gipc_ring_header *header;
	uint64_t *states;
	char *data;
	uint64_t capacity, mask; /* of the data, in bytes */
	int many;
};

/* A producer puts messages into a ring. */
struct gipc_ring_producer {
	struct gipc_ring ring;
	int slot, lifeline; /* lifeline: descriptor with our lock, -1 when left */
	uint64_t ticket;
	uint64_t tail, head, stale;
	uint64_t claim, length; /* the claim under way; claim is 0 if there is none */
	int64_t looked;         /* when a call that did not wait last checked the consumer */
};

/* A consumer takes messages out of a ring. */
struct gipc_ring_consumer {
	struct gipc_ring ring;
	int lifeline;
	uint64_t ticket;
	uint64_t next, free, asleep;
	int64_t looked;
};

/* Internal, not for callers. */

#define GIPC_RING__MAGIC 0x676e697263706967ULL
#define GIPC_RING__CONSUMER GIPC_RING_SLOTS
#define GIPC_RING__SWEEP (1ULL << 54)

enum { GIPC_RING__FREE, GIPC_RING__CLAIMED, GIPC_RING__COMMITTED, GIPC_RING__SKIPPED };

typedef char gipc_ring__tail_at_128[offsetof(struct gipc_ring_header, tail) == 128 ? 1 : -1];
typedef char gipc_ring__head_at_256[offsetof(struct gipc_ring_header, head) == 256 ? 1 : -1];
typedef char gipc_ring__sleep_at_512[offsetof(struct gipc_ring_header, producers_sleep) == 512 ? 1 : -1];
typedef char gipc_ring__members_at_1024[offsetof(struct gipc_ring_header, members) == 1024 ? 1 : -1];
typedef char gipc_ring__header_of_4096[sizeof(struct gipc_ring_header) == GIPC__HEADER ? 1 : -1];

static inline uint64_t gipc_ring__data_offset(uint64_t capacity)
{
	return (GIPC__HEADER + capacity / 8 + 4095) & ~(uint64_t)4095;
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

/* wake_at wakes the consumer if it sleeps and waits for the record at pos, which is now
 * committed or skipped. With many producers it may wait for an earlier claim. */
static inline void gipc_ring__wake_at(const struct gipc_ring *r, uint64_t pos)
{
	struct gipc_ring_header *h = r->header;
	if (GIPC__LOAD(&h->consumer_sleeps) & 1 && (!r->many || GIPC__LOAD(&h->head) == pos))
		gipc__wake(&h->consumer_sleeps);
}

/* withdraw_all withdraws the claims of a slot whose process is dead. */
static inline void gipc_ring__withdraw_all(const struct gipc_ring *r, int slot)
{
	uint64_t first = GIPC__LOAD(&r->header->head), pos = first;
	while (pos - first < r->capacity) {
		uint64_t *word = gipc_ring__state(r, pos), w = GIPC__LOAD(word);
		if (!gipc_ring__current(r, w, pos)) {
			uint64_t head = GIPC__LOAD(&r->header->head);
			if (head == pos || head - pos > r->capacity)
				return;
			pos = head;
			continue;
		}
		pos += gipc__extent(gipc_ring__length(r, w));
		if ((w & 3) == GIPC_RING__CLAIMED && (int)(w >> 2 & 63) == slot)
			(void)GIPC__CAS(word, &w, w | GIPC_RING__SKIPPED);
	}
}

/* bury takes over the role of a dead producer, and returns what take returns. */
static inline int gipc_ring__bury(const struct gipc_ring *r, int fd, int slot, uint64_t *ticket)
{
	uint64_t was;
	int got;
	if (!gipc__dead(&r->base, fd, slot, &was))
		return 0;
	got = gipc__take(&r->base, fd, slot, was, ticket);
	if (got > 0) {
		if (r->many)
			gipc_ring__withdraw_all(r, slot);
		GIPC__ADD(&r->header->deaths, 1);
	}
	return got;
}

static inline int gipc_ring__slots(const struct gipc_ring *r)
{
	return r->many ? GIPC_RING_SLOTS : 1;
}

/* Public functions. */

/* gipc_ring_size returns how many bytes of memory a ring of this capacity takes. */
GIPC_API uint64_t gipc_ring_size(uint64_t capacity)
{
	return gipc_ring__data_offset(capacity) + capacity;
}

/* gipc_ring_close closes the descriptor of the ring. Producers and consumers that have
 * joined stay joined. */
GIPC_API void gipc_ring_close(struct gipc_ring *r)
{
	if (r->base.file >= 0)
		close(r->base.file);
	r->base.file = -1;
}

/* gipc_ring_open opens the ring in the size bytes of memory at mem, which are mapped shared
 * and writable from the file of descriptor fd, at the offset. For memory without a file (a
 * System V segment, anonymous memory), fd is -1. The caller may close fd afterwards.
 *
 * -ENODATA: there is no ring, or it is not finished yet. -EPROTONOSUPPORT: another version
 * or byte order. -ERANGE: the ring has another size. -EINVAL: mem is not a multiple of 8.
 * -EBADF: fd is not the file with this ring. -EXDEV: another IPC namespace. -ESTALE: the
 * ring is in a file on a disk, from before the system last started. -EUCLEAN: corrupt. Or
 * an error of open(2) on /proc. */
GIPC_API int gipc_ring_open(struct gipc_ring *r, void *mem, uint64_t size, int fd, int64_t offset)
{
	struct gipc_ring_header *h = (struct gipc_ring_header *)mem;
	uint64_t capacity, required;
	int err;
	memset(r, 0, sizeof *r);
	r->base.file = -1;
	if ((err = gipc__identify(&h->preamble, size, GIPC_RING__MAGIC, GIPC_RING_VERSION, GIPC_RING_MANY, &required)) < 0)
		return err;
	capacity = GIPC__LOAD(&h->preamble.capacity);
	if (!gipc__capacity_ok(capacity) || gipc_ring_size(capacity) > size ||
	    GIPC__LOAD(&h->preamble.states) != GIPC__HEADER ||
	    GIPC__LOAD(&h->preamble.data) != gipc_ring__data_offset(capacity))
		return -EUCLEAN;
	r->header = h;
	r->states = (uint64_t *)(void *)((char *)mem + GIPC__HEADER);
	r->data = (char *)mem + gipc_ring__data_offset(capacity);
	r->capacity = capacity;
	r->mask = capacity - 1;
	r->many = (required & GIPC_RING_MANY) != 0;
	return gipc__open(&r->base, &h->preamble, h->members, &h->tickets, fd, offset);
}

/* gipc_ring_create lays out an empty ring and opens it; the rest is as for gipc_ring_open.
 * The capacity is a power of two, at least 4096. The call overwrites the memory, which no
 * other process may use meanwhile. -ERANGE: the memory is too small for the capacity. */
GIPC_API int gipc_ring_create(struct gipc_ring *r, void *mem, uint64_t size, int fd, int64_t offset,
			      uint64_t capacity, unsigned flags)
{
	struct gipc_ring_header *h = (struct gipc_ring_header *)mem;
	int err;
	r->base.file = -1;
	if ((uintptr_t)mem % 8 || !gipc__capacity_ok(capacity) || flags & ~GIPC_RING_MANY)
		return -EINVAL;
	if (gipc_ring_size(capacity) > size)
		return -ERANGE;
	err = gipc__write(&h->preamble, size, fd, offset, GIPC_RING_VERSION, capacity, GIPC__HEADER,
			  gipc_ring__data_offset(capacity));
	if (err < 0)
		return err;
	h->preamble.required = flags;
	h->tail = h->head = capacity; /* the first lap is 1, so that zero words belong to no lap */
	GIPC__STORE(&h->preamble.magic, GIPC_RING__MAGIC);
	return gipc_ring_open(r, mem, size, fd, offset);
}

struct gipc_ring__how {
	uint64_t capacity;
	unsigned flags;
};

static inline int gipc_ring__lay_out(struct gipc_object *o, const void *p)
{
	const struct gipc_ring__how *how = (const struct gipc_ring__how *)p;
	struct gipc_ring made;
	int err = gipc_ring_create(&made, o->mem, o->size, o->fd, 0, how->capacity, how->flags);
	if (!err)
		gipc_ring_close(&made);
	return err;
}

/* gipc_ring_open_or_make opens the ring in the object with a name such as "/frames", or
 * makes both. A capacity of 0 accepts any and makes 1 MiB. mode has the permission bits of a
 * new object, such as 0600. In the end, call gipc_ring_close and gipc_object_remove_last or
 * gipc_object_close.
 *
 * -EPROTOTYPE: the ring has another capacity or other flags. The other errors are those of
 * gipc_object_open, gipc_object_make, gipc_ring_create and gipc_ring_open. */
GIPC_API int gipc_ring_open_or_make(struct gipc_ring *r, struct gipc_object *o, const char *name,
				    uint64_t capacity, unsigned flags, unsigned mode)
{
	struct gipc_ring__how how;
	int err;
	how.capacity = capacity ? capacity : 1 << 20;
	how.flags = flags;
	err = gipc__object_open_or_make(o, name, gipc_ring_size(how.capacity), mode, gipc_ring__lay_out, &how);
	if (err < 0)
		return err;
	err = gipc_ring_open(r, o->mem, o->size, o->fd, 0);
	if (!err && ((capacity && capacity != r->capacity) || r->many != (int)(flags & GIPC_RING_MANY))) {
		gipc_ring_close(r);
		err = -EPROTOTYPE;
	}
	if (err < 0)
		gipc_object_close(o);
	return err;
}

/* gipc_ring_max_message returns the length of the longest message. */
GIPC_API uint64_t gipc_ring_max_message(const struct gipc_ring *r)
{
	return r->capacity / 2;
}

/* gipc_ring_forget_producer closes the handle in a child of fork; the parent keeps the
 * role. */
GIPC_API void gipc_ring_forget_producer(struct gipc_ring_producer *p)
{
	gipc__forget(&p->lifeline);
}

/* gipc_ring_forget_consumer is the same for a consumer. */
GIPC_API void gipc_ring_forget_consumer(struct gipc_ring_consumer *c)
{
	gipc__forget(&c->lifeline);
}

/* clear zeroes the state word at pos, where a record ends, if a dead producer may have
 * written it. */
static inline void gipc_ring__clear(struct gipc_ring_producer *p, uint64_t pos)
{
	if ((int64_t)(p->stale - pos) > 0)
		GIPC__STORE(gipc_ring__state(&p->ring, pos), 0);
}

/* find_tail follows the records to where the previous producer ended. In its first laps, the
 * consumer clears the state words of what it releases, after it has moved head. So records
 * that were followed from an old head may seem to end too early. */
static inline int gipc_ring__find_tail(struct gipc_ring_producer *p)
{
	const struct gipc_ring *r = &p->ring;
	uint64_t now;
	int tries = 0, bad;
again:
	p->tail = p->head;
	bad = p->head % GIPC_RING_UNIT != 0;
	while (!bad && p->tail - p->head < r->capacity) {
		uint64_t w = GIPC__LOAD(gipc_ring__state(r, p->tail)), size;
		if (!gipc_ring__current(r, w, p->tail) || (w & 3) < GIPC_RING__COMMITTED)
			break;
		size = gipc__extent(gipc_ring__length(r, w));
		if ((p->tail & r->mask) + size > r->capacity)
			bad = 1;
		else
			p->tail += size;
	}
	now = GIPC__LOAD(&r->header->head);
	if (now != p->head && tries++ < 4096) {
		p->head = now;
		goto again;
	}
	if (bad || now != p->head)
		return -EUCLEAN;
	p->stale = p->head + r->capacity;
	gipc_ring__clear(p, p->tail);
	gipc__drop_marks(r->header->marks, p->tail);
	return 0;
}

/* gipc_ring_join_producer joins the ring. -EBUSY: the ring has all its producers, and they
 * are alive. -EUCLEAN. Or an error of open(2). */
GIPC_API int gipc_ring_join_producer(struct gipc_ring_producer *p, const struct gipc_ring *r)
{
	int i, got = 0, all = gipc_ring__slots(r);
	memset(p, 0, sizeof *p);
	p->ring = *r;
	p->lifeline = gipc__join(&r->base);
	if (p->lifeline < 0) {
		got = p->lifeline;
		p->lifeline = -1;
		return got;
	}
	for (i = 0; i < 2 * all && !got; i++) {
		p->slot = i % all;
		if (i >= all)
			got = gipc_ring__bury(r, p->lifeline, p->slot, &p->ticket);
		else if (!GIPC__LOAD(&r->header->members[i].ticket))
			got = gipc__take(&r->base, p->lifeline, i, 0, &p->ticket);
	}
	if (!got)
		got = -EBUSY;
	if (got > 0) {
		p->head = GIPC__LOAD(&r->header->head);
		if (!r->many && (got = gipc_ring__find_tail(p)) < 0)
			gipc__leave(&r->base, p->lifeline, p->slot, p->ticket);
	}
	if (got < 0) {
		gipc_ring_forget_producer(p);
		return got;
	}
	GIPC__ADD(&r->header->joins, 1);
	gipc__wake(&r->header->consumer_sleeps); /* it has one more process to watch */
	return 0;
}

/* gipc_ring_check_consumer returns -EPIPE if the consumer has left, -EOWNERDEAD if its
 * process has ended, and 0 otherwise, even if no consumer has joined yet. */
GIPC_API int gipc_ring_check_consumer(const struct gipc_ring_producer *p)
{
	uint64_t ticket;
	int dead;
	if (p->lifeline < 0)
		return -EBADF;
	dead = gipc__dead(&p->ring.base, p->lifeline, GIPC_RING__CONSUMER, &ticket);
	return ticket == GIPC__GONE ? -EPIPE : dead ? -EOWNERDEAD : 0;
}

/* room returns 1 if size bytes from pos on are free. */
static inline int gipc_ring__room(struct gipc_ring_producer *p, uint64_t pos, uint64_t size)
{
	uint64_t head, capacity = p->ring.capacity;
	if (pos - p->head <= capacity - size)
		return 1;
	head = GIPC__LOAD(&p->ring.header->head);
	if (pos - head > capacity || head % GIPC_RING_UNIT)
		return -EUCLEAN;
	p->head = head;
	return pos - head <= capacity - size;
}

static inline int gipc_ring__reserve_alone(struct gipc_ring_producer *p, uint64_t length)
{
	const struct gipc_ring *r = &p->ring;
	uint64_t size = gipc__extent(length), rest = r->capacity - (p->tail & r->mask);
	int ok;
	if (rest < size) {
		if ((ok = gipc_ring__room(p, p->tail, rest)) <= 0)
			return ok;
		gipc_ring__clear(p, p->tail + rest);
		GIPC__STORE(gipc_ring__state(r, p->tail), gipc_ring__word(r, p->tail, rest, 0, GIPC_RING__SKIPPED));
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
	uint64_t size = gipc__extent(length), *shared = &r->header->tail;
	int tries, ok;
	for (tries = 0; tries < 4096; tries++) { /* a hostile peer must not keep us here */
		uint64_t tail = GIPC__LOAD(shared), at = tail & r->mask, old = tail;
		uint64_t *word = gipc_ring__state(r, tail), w = GIPC__LOAD(word), take = size, mine;
		if (tail % GIPC_RING_UNIT)
			return -EUCLEAN;
		/* Others may have gone on so far that the consumer has swept the word, which then
		 * looks free. While tail stays there, a record that begins there is not
		 * consumed. */
		if (GIPC__LOAD(shared) != tail)
			continue;
		if (gipc_ring__current(r, w, tail)) { /* a record is there already */
			uint64_t n = gipc__extent(gipc_ring__length(r, w));
			if (at + n > r->capacity)
				return -EUCLEAN;
			(void)GIPC__CAS(shared, &old, tail + n);
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
		if (ok < 0 && GIPC__LOAD(shared) != tail)
			continue; /* the head was loaded after tail had moved */
		if (ok <= 0)
			return ok;
		if (!GIPC__CAS(word, &w, mine))
			continue;
		(void)GIPC__CAS(shared, &old, tail + take);
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
	if (GIPC__LOAD(&p->ring.header->members[GIPC_RING__CONSUMER].ticket) == GIPC__GONE)
		return -EPIPE;
	return p->ring.many ? gipc_ring__reserve_shared(p, length) : gipc_ring__reserve_alone(p, length);
}

/* gipc_ring_claim reserves room for a message of n bytes, from 0 to gipc_ring_max_message,
 * and sets *msg to its beginning. Write the message there, then call gipc_ring_commit or
 * gipc_ring_abort: a producer has one claim at a time. The call waits while the ring is
 * full.
 *
 * -ETIMEDOUT, -EINTR. -EMSGSIZE: n is too large. -EALREADY: a claim is under way. -EPIPE:
 * the consumer has left. -EOWNERDEAD: its process has ended. -EUCLEAN. */
GIPC_API int gipc_ring_claim(struct gipc_ring_producer *p, uint64_t n, void **msg, int64_t timeout)
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
		for (spun = 0; !ok && p->ring.base.spin && spun < 4096; spun += 64) {
			gipc__pause(64);
			ok = gipc_ring__reserve(p, n);
		}
		deadline = gipc__deadline(timeout);
		checked = gipc__now();
		while (!ok) {
			uint32_t v = GIPC__OR(word, 1) | 1;
			if ((ok = gipc_ring__reserve(p, n)) || (ok = gipc__sleep(word, v, deadline)) < 0)
				break;
			if (gipc__now() - checked >= GIPC__TICK) {
				checked = gipc__now();
				if ((ok = gipc_ring_check_consumer(p)) < 0)
					break;
			}
		}
	}
	if (!ok && gipc__due(&p->looked) && (ok = gipc_ring_check_consumer(p)) < 0)
		p->looked = 0; /* the next call reports it too */
	if (ok <= 0)
		return ok ? ok : -ETIMEDOUT;
	*msg = p->ring.data + (p->claim & p->ring.mask);
	return 0;
}

/* gipc_ring_commit sends the first n bytes of the claim as a message, and wakes the
 * consumer if it sleeps. -EINVAL: there is no claim, or it is shorter than n. -EUCLEAN. */
GIPC_API int gipc_ring_commit(struct gipc_ring_producer *p, uint64_t n)
{
	const struct gipc_ring *r = &p->ring;
	uint64_t pos = p->claim, size = gipc__extent(n), rest, w, message;
	if (!pos || n > p->length)
		return -EINVAL;
	p->claim = 0;
	message = gipc_ring__word(r, pos, n, p->slot, GIPC_RING__COMMITTED);
	if (!r->many) {
		p->tail = pos + size;
		gipc_ring__clear(p, p->tail);
		GIPC__STORE(gipc_ring__state(r, pos), message);
	} else {
		if ((rest = gipc__extent(p->length) - size) > 0) /* the rest becomes a record of its own */
			GIPC__STORE(gipc_ring__state(r, pos + size),
					 gipc_ring__word(r, pos + size, rest, p->slot, GIPC_RING__SKIPPED));
		w = gipc_ring__word(r, pos, p->length, p->slot, GIPC_RING__CLAIMED);
		if (!GIPC__CAS(gipc_ring__state(r, pos), &w, message))
			return -EUCLEAN;
	}
	gipc_ring__wake_at(r, pos);
	return 0;
}

/* gipc_ring_abort gives up the claim without sending a message. -EINVAL: there is no claim.
 * -EUCLEAN. */
GIPC_API int gipc_ring_abort(struct gipc_ring_producer *p)
{
	const struct gipc_ring *r = &p->ring;
	uint64_t pos = p->claim, w;
	if (!pos)
		return -EINVAL;
	p->claim = 0;
	if (!r->many)
		return 0; /* nobody has seen it */
	w = gipc_ring__word(r, pos, p->length, p->slot, GIPC_RING__CLAIMED);
	if (!GIPC__CAS(gipc_ring__state(r, pos), &w, w | GIPC_RING__SKIPPED))
		return -EUCLEAN;
	gipc_ring__wake_at(r, pos);
	return 0;
}

/* gipc_ring_send sends a copy of n bytes. Errors are those of gipc_ring_claim. */
GIPC_API int gipc_ring_send(struct gipc_ring_producer *p, const void *msg, uint64_t n, int64_t timeout)
{
	void *to;
	int err = gipc_ring_claim(p, n, &to, timeout);
	if (err < 0)
		return err;
	if (n)
		memcpy(to, msg, (size_t)n);
	return gipc_ring_commit(p, n);
}

/* gipc_ring_send_batch sends copies of count messages, and returns how many it has sent:
 * fewer than count if it timed out or failed after the first. Errors are those of
 * gipc_ring_claim. */
GIPC_API int gipc_ring_send_batch(struct gipc_ring_producer *p, const void *const *msgs, const uint64_t *lengths, int count,
				  int64_t timeout)
{
	int64_t deadline = timeout ? gipc__deadline(timeout) : 0;
	int n, err;
	for (n = 0; n < count; n++) {
		err = gipc_ring_send(p, msgs[n], lengths[n], n ? 0 : timeout);
		if (err == -ETIMEDOUT && n && timeout)
			err = gipc_ring_send(p, msgs[n], lengths[n], gipc__left(deadline));
		if (err < 0)
			return n ? n : err;
	}
	return n;
}

/* gipc_ring_leave_producer leaves the ring and gives up a claim under way. The consumer
 * still receives what was sent. */
GIPC_API int gipc_ring_leave_producer(struct gipc_ring_producer *p)
{
	int err = p->claim ? gipc_ring_abort(p) : 0;
	if (p->lifeline < 0)
		return -EBADF;
	gipc__leave(&p->ring.base, p->lifeline, p->slot, p->ticket);
	gipc__wake(&p->ring.header->consumer_sleeps);
	gipc_ring_forget_producer(p);
	return err;
}

/* gipc_ring_join_consumer takes the consumer's role. If the previous consumer died, this
 * one receives again what that one had not released. -EBUSY: another consumer is alive.
 * -EUCLEAN. Or an error of open(2). */
GIPC_API int gipc_ring_join_consumer(struct gipc_ring_consumer *c, const struct gipc_ring *r)
{
	uint64_t was;
	int dead, got = 0;
	memset(c, 0, sizeof *c);
	c->ring = *r;
	c->lifeline = gipc__join(&r->base);
	if (c->lifeline < 0) {
		got = c->lifeline;
		c->lifeline = -1;
		return got;
	}
	dead = gipc__dead(&r->base, c->lifeline, GIPC_RING__CONSUMER, &was);
	if (dead || gipc__vacant(was))
		got = gipc__take(&r->base, c->lifeline, GIPC_RING__CONSUMER, was, &c->ticket);
	if (got > 0) {
		c->next = c->free = GIPC__LOAD(&r->header->head);
		if (!(c->next % GIPC_RING_UNIT)) {
			gipc__wake(&r->header->producers_sleep); /* they now have us to watch */
			return 0;
		}
		gipc__leave(&r->base, c->lifeline, GIPC_RING__CONSUMER, c->ticket);
		got = -EUCLEAN;
	}
	gipc_ring_forget_consumer(c);
	return got ? got : -EBUSY;
}

/* gipc_ring_release gives the memory of all messages received back to the producers.
 * gipc_ring_receive begins with this. */
GIPC_API void gipc_ring_release(struct gipc_ring_consumer *c)
{
	const struct gipc_ring *r = &c->ring;
	struct gipc_ring_header *h = r->header;
	uint64_t pos = c->free;
	if (pos == c->next)
		return;
	c->free = c->next;
	GIPC__STORE(&h->head, c->next);
	if (c->next % GIPC_RING__SWEEP < 2 * r->capacity)
		for (; pos != c->next; pos += GIPC_RING_UNIT) {
			uint64_t w = GIPC__LOAD(gipc_ring__state(r, pos));
			if (!gipc_ring__current(r, w, pos + r->capacity))
				(void)GIPC__CAS(gipc_ring__state(r, pos), &w,
						     gipc_ring__word(r, pos, 0, 0, GIPC_RING__FREE));
		}
	if (GIPC__LOAD(&h->producers_sleep) & 1) {
		if (!c->asleep)
			c->asleep = c->next;
		if (c->next - c->asleep >= r->capacity / 2) {
			c->asleep = 0;
			gipc__wake(&h->producers_sleep);
		}
	}
}

/* look sets *msg and *n to the next message. It returns 1, 0 if there is none, or an
 * error. */
static inline int gipc_ring__look(struct gipc_ring_consumer *c, const void **msg, uint64_t *n)
{
	const struct gipc_ring *r = &c->ring;
	uint64_t first = c->next;
	while (c->next - first < r->capacity) {
		uint64_t w = GIPC__LOAD(gipc_ring__state(r, c->next)), at = c->next & r->mask, length, size;
		if (!gipc_ring__current(r, w, c->next) || (w & 3) < GIPC_RING__COMMITTED)
			return 0;
		length = gipc_ring__length(r, w);
		size = gipc__extent(length);
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

/* bury_all buries all dead producers. */
static inline void gipc_ring__bury_all(struct gipc_ring_consumer *c)
{
	uint64_t ticket;
	int i, all = gipc_ring__slots(&c->ring);
	for (i = 0; i < all; i++)
		if (gipc_ring__bury(&c->ring, c->lifeline, i, &ticket) > 0)
			gipc__leave(&c->ring.base, c->lifeline, i, ticket);
}

/* idle wakes producers and looks for the end while there is no message. It returns 1 at the
 * end, 0 to go on, or an error. */
static inline int gipc_ring__idle(struct gipc_ring_consumer *c)
{
	const struct gipc_ring *r = &c->ring;
	struct gipc_ring_header *h = r->header;
	uint64_t w;
	uint32_t joins, deaths, seen_deaths = GIPC__LOAD(&h->seen_deaths);
	int i;
	gipc_ring_release(c);
	c->asleep = 0;
	gipc__wake(&h->producers_sleep);
	w = GIPC__LOAD(gipc_ring__state(r, c->next));
	if (gipc_ring__ahead(r, w, c->next))
		return -EUCLEAN;
	if (gipc_ring__current(r, w, c->next) && (w & 3) == GIPC_RING__CLAIMED &&
	    !GIPC__LOAD(&h->members[w >> 2 & 63].ticket) && GIPC__LOAD(gipc_ring__state(r, c->next)) == w)
		return -EUCLEAN; /* a claim without an owner */
	/* The order matters: a producer takes its role before it is counted, and commits before
	 * it leaves. */
	joins = GIPC__LOAD(&h->joins);
	deaths = GIPC__LOAD(&h->deaths);
	if (joins == GIPC__LOAD(&h->seen_joins) && deaths == seen_deaths)
		return 0;
	for (i = 0; i < gipc_ring__slots(r); i++)
		if (GIPC__LOAD(&h->members[i].ticket))
			return 0;
	if (GIPC__LOAD(&h->joins) != joins ||
	    gipc_ring__current(r, GIPC__LOAD(gipc_ring__state(r, c->next)), c->next))
		return 0;
	GIPC__STORE(&h->seen_joins, joins);
	GIPC__STORE(&h->seen_deaths, deaths);
	return deaths != seen_deaths ? -EOWNERDEAD : 1;
}

/* gipc_ring_receive sets *msg and *n to the next message and returns 1. The message stays
 * in the ring, and is valid until the next call for this consumer. It waits while the ring
 * is empty.
 *
 * It returns 0 when all producers that had joined have left and everything was received, or
 * -EOWNERDEAD if at least one of them has died. Called again, it waits for another
 * producer. -ETIMEDOUT, -EINTR, -EUCLEAN. */
GIPC_API int gipc_ring_receive(struct gipc_ring_consumer *c, const void **msg, uint64_t *n, int64_t timeout)
{
	uint32_t *word = &c->ring.header->consumer_sleeps;
	int64_t deadline, checked;
	int got, idle = 0, spun;
	if (c->lifeline < 0)
		return -EBADF;
	gipc_ring_release(c);
	if ((got = gipc_ring__look(c, msg, n)))
		return got;
	if (!timeout && gipc__due(&c->looked))
		gipc_ring__bury_all(c);
	if ((idle = gipc_ring__idle(c)))
		return idle < 0 ? idle : 0;
	for (spun = 0; timeout && c->ring.base.spin && spun < 4096; spun += 32) {
		gipc__pause(32);
		if ((got = gipc_ring__look(c, msg, n)))
			return got;
	}
	deadline = gipc__deadline(timeout);
	for (checked = gipc__now();;) {
		uint32_t v = GIPC__OR(word, 1) | 1;
		int tries, moved = 1;
		for (tries = 0; moved && tries < 16; tries++) { /* head has moved: see wake_at */
			if ((got = gipc_ring__look(c, msg, n)))
				return got;
			moved = c->free != c->next;
			if ((idle = gipc_ring__idle(c)))
				return idle < 0 ? idle : 0;
		}
		if ((got = gipc__sleep(word, v, deadline)) < 0)
			return got;
		if (gipc__now() - checked >= GIPC__TICK) {
			checked = gipc__now();
			gipc_ring__bury_all(c);
		}
	}
}

/* gipc_ring_receive_batch receives up to most messages. It waits only for the first one,
 * and returns how many it has received. All are valid until the next call for this
 * consumer. If the consumer dies before that call, the next consumer receives all of them
 * again. */
GIPC_API int gipc_ring_receive_batch(struct gipc_ring_consumer *c, const void **msgs, uint64_t *lengths, int most,
				     int64_t timeout)
{
	int got = most < 1 ? -EINVAL : gipc_ring_receive(c, msgs, lengths, timeout), n = 1;
	if (got <= 0)
		return got;
	while (n < most && (c->next - c->free) < c->ring.capacity / 4 &&
	       gipc_ring__look(c, &msgs[n], &lengths[n]) > 0)
		n++; /* an error comes again at the next call */
	return n;
}

/* gipc_ring_return gives back msg and all messages received after it, so that they are
 * received again, by this consumer or the next one. msg must be valid still. */
GIPC_API int gipc_ring_return(struct gipc_ring_consumer *c, const void *msg)
{
	uint64_t back = (uint64_t)((uintptr_t)msg - (uintptr_t)c->ring.data);
	if (c->lifeline < 0)
		return -EBADF;
	if (back >= c->ring.capacity || back % GIPC_RING_UNIT)
		return -EINVAL;
	back = (back - c->free) & c->ring.mask;
	if (back >= c->next - c->free)
		return -EINVAL;
	c->next = c->free + back;
	return 0;
}

/* gipc_ring_leave_consumer releases what was received and gives up the role. Producers get
 * -EPIPE until there is another consumer. */
GIPC_API int gipc_ring_leave_consumer(struct gipc_ring_consumer *c)
{
	if (c->lifeline < 0)
		return -EBADF;
	gipc_ring_release(c);
	gipc__leave(&c->ring.base, c->lifeline, GIPC_RING__CONSUMER, c->ticket);
	gipc__wake(&c->ring.header->producers_sleep);
	gipc_ring_forget_consumer(c);
	return 0;
}

#ifdef __cplusplus
}
#endif

#endif
