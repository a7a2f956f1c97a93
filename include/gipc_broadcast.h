/* gipc_broadcast.h: messages from one process to many others through shared memory, for C
 * and C++. Each of the others can receive all of them.
 *
 * A broadcast has one writer and up to 64 readers, which come and go. The writer waits for
 * a reader that blocks; a reader of the latest may lose messages, and learns how many.
 * Package shmring of github.com/sysvipc/gipc is the same in Go, and docs/broadcast.md
 * specifies the memory.
 *
 *	struct gipc_broadcast frames;
 *	struct gipc_broadcast_reader in;
 *	if ((err = gipc_broadcast_open(&frames, mem, size, fd, 0)) < 0 ||
 *	    (err = gipc_broadcast_subscribe(&in, &frames, GIPC_BROADCAST_LATEST, 0, "viewer")) < 0)
 *		...strerror(-err)...
 *	while ((err = gipc_broadcast_read(&in, buffer, sizeof buffer, &n, -1)) > 0)
 *		...n bytes of buffer...
 *	gipc_broadcast_leave_reader(&in);
 *	gipc_broadcast_close(&frames);
 *
 * gipc_base.h has the rules for handles, timeouts, errors, forks and other processes, and
 * functions for named objects.
 */
#ifndef GIPC_BROADCAST_H
#define GIPC_BROADCAST_H

#include "gipc_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GIPC_BROADCAST_VERSION 1
#define GIPC_BROADCAST_READERS 64 /* at a time */
#define GIPC_BROADCAST_LABEL 32   /* bytes of a label */

/* What happens to a reader that is slower than the writer. */
#define GIPC_BROADCAST_BLOCK 1u  /* the writer waits for it, and it receives every message */
#define GIPC_BROADCAST_LATEST 2u /* it loses messages, and goes on with the newest */

/* Flags of gipc_broadcast_subscribe. */
#define GIPC_BROADCAST_OLDEST 1u /* begin with the oldest message that is kept, not the next one */

/* The header of the memory: see docs/broadcast.md. All accesses to it are atomic. */
struct gipc_broadcast_header {
	struct gipc_preamble preamble;
	uint64_t published;
	char zero0[120];
	uint64_t floor;
	char zero1[120];
	uint32_t readers_sleep;
	char zero2[124];
	uint32_t writer_sleeps, zero3;
	uint64_t wanted;
	char zero4[112];
	uint64_t joins, tickets, blocking;
	uint32_t sessions, deaths;
	char zero5[96];
	struct gipc_mark marks[2];
	char zero7[128];
	struct gipc_member members[GIPC_BROADCAST_READERS + 1]; /* the last is the writer */
	char zero6[992];
};

/* A reader's words in the memory, besides its member. */
struct gipc_broadcast_slot {
	uint64_t next, lost;
	uint32_t policy, zero0;
	uint64_t label[GIPC_BROADCAST_LABEL / 8];
	char zero1[72];
};

/* Where a message is. */
struct gipc_broadcast_entry {
	uint64_t position, length;
};

/* A broadcast in the memory of this process. */
struct gipc_broadcast {
	struct gipc_base base;
	struct gipc_broadcast_header *header;
	struct gipc_broadcast_slot *slots;
	struct gipc_broadcast_entry *index;
	char *data;
	uint64_t capacity, mask, entries;
};

/* The writer. */
struct gipc_broadcast_writer {
	struct gipc_broadcast broadcast;
	int lifeline; /* descriptor with our lock, -1 when left */
	int claimed;
	uint64_t ticket;
	uint64_t next, end; /* number of the next message, position after the last one */
	uint64_t floor, safe, joins;
	uint64_t claim, length; /* position and length of the claim under way */
};

/* A reader. */
struct gipc_broadcast_reader {
	struct gipc_broadcast broadcast;
	int slot, lifeline;
	int received; /* a message that was received in place is not released yet */
	unsigned policy;
	uint64_t ticket;
	uint64_t next, lost; /* number of the next message; how many were overwritten before it */
	uint64_t published;
	uint32_t seen;
	int64_t looked;
};

/* A reader as others see it. */
struct gipc_broadcast_subscriber {
	char label[GIPC_BROADCAST_LABEL + 1];
	unsigned policy;
	uint32_t pid, pid_namespace;
	uint64_t behind, lost; /* messages that it has yet to receive; messages that it has lost */
};

/* Internal, not for callers. */

#define GIPC_BROADCAST__MAGIC 0x7473636263706967ULL
#define GIPC_BROADCAST__INDEX 12288u
#define GIPC_BROADCAST__WRITER GIPC_BROADCAST_READERS

typedef char gipc_broadcast__published_at_128[offsetof(struct gipc_broadcast_header, published) == 128 ? 1 : -1];
typedef char gipc_broadcast__floor_at_256[offsetof(struct gipc_broadcast_header, floor) == 256 ? 1 : -1];
typedef char gipc_broadcast__wanted_at_520[offsetof(struct gipc_broadcast_header, wanted) == 520 ? 1 : -1];
typedef char gipc_broadcast__blocking_at_656[offsetof(struct gipc_broadcast_header, blocking) == 656 ? 1 : -1];
typedef char gipc_broadcast__members_at_1024[offsetof(struct gipc_broadcast_header, members) == 1024 ? 1 : -1];
typedef char gipc_broadcast__header_of_4096[sizeof(struct gipc_broadcast_header) == GIPC__HEADER ? 1 : -1];
typedef char gipc_broadcast__slot_of_128[sizeof(struct gipc_broadcast_slot) == 128 ? 1 : -1];

static inline uint64_t gipc_broadcast__data_offset(uint64_t capacity)
{
	return (GIPC_BROADCAST__INDEX + capacity / 16 + 4095) & ~(uint64_t)4095;
}

static inline struct gipc_broadcast_entry *gipc_broadcast__entry(const struct gipc_broadcast *b, uint64_t n)
{
	return &b->index[n & (b->entries - 1)];
}

/* locate loads the position and length of message n, and reports whether it lies within the
 * data. */
static inline int gipc_broadcast__locate(const struct gipc_broadcast *b, uint64_t n, uint64_t *pos, uint64_t *length)
{
	struct gipc_broadcast_entry *e = gipc_broadcast__entry(b, n);
	*pos = GIPC__LOAD(&e->position);
	*length = GIPC__LOAD(&e->length);
	return *pos % GIPC__UNIT == 0 && *length <= b->capacity / 2 && (*pos & b->mask) + *length <= b->capacity;
}

/* next_bit clears the lowest bit that is set in the mask, and returns its number. */
static inline int gipc_broadcast__next_bit(uint64_t *mask)
{
	int i = __builtin_ctzll(*mask);
	*mask &= *mask - 1;
	return i;
}

/* bury takes over the role of a dead reader, and returns what take returns. The writer no
 * longer waits for that reader. */
static inline int gipc_broadcast__bury(const struct gipc_broadcast *b, int fd, int slot, uint64_t *ticket)
{
	uint64_t was;
	int got;
	if (!gipc__dead(&b->base, fd, slot, &was))
		return 0;
	got = gipc__take(&b->base, fd, slot, was, ticket);
	if (got > 0) {
		GIPC__AND(&b->header->blocking, ~(1ULL << slot));
		GIPC__ADD(&b->header->deaths, 1);
	}
	return got;
}

/* evict buries the dead readers that the writer waits for. */
static inline void gipc_broadcast__evict(const struct gipc_broadcast_writer *w)
{
	const struct gipc_broadcast *b = &w->broadcast;
	uint64_t mask = GIPC__LOAD(&b->header->blocking), ticket;
	while (mask) {
		int i = gipc_broadcast__next_bit(&mask);
		if (gipc_broadcast__bury(b, w->lifeline, i, &ticket) > 0)
			gipc__leave(&b->base, w->lifeline, i, ticket);
	}
}

/* Public functions. */

/* gipc_broadcast_size returns how many bytes of memory a broadcast of this capacity
 * takes. */
GIPC_API uint64_t gipc_broadcast_size(uint64_t capacity)
{
	return gipc_broadcast__data_offset(capacity) + capacity;
}

/* gipc_broadcast_close closes the descriptor of the broadcast. A writer and readers that
 * have joined stay joined. */
GIPC_API void gipc_broadcast_close(struct gipc_broadcast *b)
{
	gipc__forget(&b->base.file);
}

/* gipc_broadcast_open opens the broadcast in the size bytes of memory at mem. Arguments and
 * errors are those of gipc_ring_open. */
GIPC_API int gipc_broadcast_open(struct gipc_broadcast *b, void *mem, uint64_t size, int fd, int64_t offset)
{
	struct gipc_broadcast_header *h = (struct gipc_broadcast_header *)mem;
	uint64_t capacity, required;
	int err;
	memset(b, 0, sizeof *b);
	b->base.file = -1;
	err = gipc__identify(&h->preamble, size, GIPC_BROADCAST__MAGIC, GIPC_BROADCAST_VERSION, 0, &required);
	if (err < 0)
		return err;
	capacity = GIPC__LOAD(&h->preamble.capacity);
	if (!gipc__capacity_ok(capacity) || gipc_broadcast_size(capacity) > size ||
	    GIPC__LOAD(&h->preamble.states) != GIPC_BROADCAST__INDEX ||
	    GIPC__LOAD(&h->preamble.data) != gipc_broadcast__data_offset(capacity))
		return -EUCLEAN;
	b->header = h;
	b->slots = (struct gipc_broadcast_slot *)(void *)((char *)mem + GIPC__HEADER);
	b->index = (struct gipc_broadcast_entry *)(void *)((char *)mem + GIPC_BROADCAST__INDEX);
	b->data = (char *)mem + gipc_broadcast__data_offset(capacity);
	b->capacity = capacity;
	b->mask = capacity - 1;
	b->entries = capacity / 256;
	return gipc__open(&b->base, &h->preamble, h->members, &h->tickets, fd, offset);
}

/* gipc_broadcast_create lays out an empty broadcast and opens it; the rest is as for
 * gipc_ring_create. */
GIPC_API int gipc_broadcast_create(struct gipc_broadcast *b, void *mem, uint64_t size, int fd, int64_t offset,
				   uint64_t capacity)
{
	struct gipc_broadcast_header *h = (struct gipc_broadcast_header *)mem;
	int err;
	b->base.file = -1;
	if ((uintptr_t)mem % 8 || !gipc__capacity_ok(capacity))
		return -EINVAL;
	if (gipc_broadcast_size(capacity) > size)
		return -ERANGE;
	err = gipc__write(&h->preamble, size, fd, offset, GIPC_BROADCAST_VERSION, capacity, GIPC_BROADCAST__INDEX,
			  gipc_broadcast__data_offset(capacity));
	if (err < 0)
		return err;
	GIPC__STORE(&h->preamble.magic, GIPC_BROADCAST__MAGIC);
	return gipc_broadcast_open(b, mem, size, fd, offset);
}

struct gipc_broadcast__how {
	uint64_t capacity;
};

static inline int gipc_broadcast__lay_out(struct gipc_object *o, const void *p)
{
	const struct gipc_broadcast__how *how = (const struct gipc_broadcast__how *)p;
	struct gipc_broadcast made;
	int err = gipc_broadcast_create(&made, o->mem, o->size, o->fd, 0, how->capacity);
	if (!err)
		gipc_broadcast_close(&made);
	return err;
}

/* gipc_broadcast_open_or_make opens the broadcast in the object with a name such as "/frames", or
 * makes both. A capacity of 0 accepts any and makes 1 MiB. mode has the permission bits of a
 * new object, such as 0600. In the end, call gipc_broadcast_close and gipc_object_remove_last or
 * gipc_object_close.
 *
 * -EPROTOTYPE: the broadcast has another capacity. The other errors are those of
 * gipc_object_open, gipc_object_make, gipc_broadcast_create and gipc_broadcast_open. */
GIPC_API int gipc_broadcast_open_or_make(struct gipc_broadcast *b, struct gipc_object *o, const char *name,
				         uint64_t capacity, unsigned mode)
{
	struct gipc_broadcast__how how;
	int err;
	how.capacity = capacity ? capacity : 1 << 20;
	err = gipc__object_open_or_make(o, name, gipc_broadcast_size(how.capacity), mode, gipc_broadcast__lay_out, &how);
	if (err < 0)
		return err;
	err = gipc_broadcast_open(b, o->mem, o->size, o->fd, 0);
	if (!err && capacity && capacity != b->capacity) {
		gipc_broadcast_close(b);
		err = -EPROTOTYPE;
	}
	if (err < 0)
		gipc_object_close(o);
	return err;
}

/* gipc_broadcast_max_message returns the length of the longest message. */
GIPC_API uint64_t gipc_broadcast_max_message(const struct gipc_broadcast *b)
{
	return b->capacity / 2;
}

/* gipc_broadcast_forget_writer closes the handle in a child of fork; the parent keeps the
 * role. */
GIPC_API void gipc_broadcast_forget_writer(struct gipc_broadcast_writer *w)
{
	gipc__forget(&w->lifeline);
}

/* gipc_broadcast_forget_reader is the same for a reader. */
GIPC_API void gipc_broadcast_forget_reader(struct gipc_broadcast_reader *r)
{
	gipc__forget(&r->lifeline);
}

/* resume finds where the previous writer ended. It ignores what that writer did not
 * publish. */
static inline int gipc_broadcast__resume(struct gipc_broadcast_writer *w)
{
	const struct gipc_broadcast *b = &w->broadcast;
	uint64_t pos, length;
	w->next = GIPC__LOAD(&b->header->published);
	w->floor = GIPC__LOAD(&b->header->floor);
	if (w->next - w->floor > b->entries)
		return -EUCLEAN;
	if (w->next) {
		if (!gipc_broadcast__locate(b, w->next - 1, &pos, &length))
			return -EUCLEAN;
		w->end = pos + gipc__extent(length);
	}
	gipc__drop_marks(b->header->marks, w->next);
	return 0;
}

/* gipc_broadcast_join_writer takes the writer's role. If the previous writer died, this one
 * goes on after that writer's last whole message. -EBUSY: another writer is alive.
 * -EUCLEAN. Or an error of open(2). */
GIPC_API int gipc_broadcast_join_writer(struct gipc_broadcast_writer *w, const struct gipc_broadcast *b)
{
	uint64_t was;
	int dead, got = 0;
	memset(w, 0, sizeof *w);
	w->broadcast = *b;
	w->lifeline = gipc__join(&b->base);
	if (w->lifeline < 0) {
		got = w->lifeline;
		w->lifeline = -1;
		return got;
	}
	dead = gipc__dead(&b->base, w->lifeline, GIPC_BROADCAST__WRITER, &was);
	if (dead || gipc__vacant(was))
		got = gipc__take(&b->base, w->lifeline, GIPC_BROADCAST__WRITER, was, &w->ticket);
	if (got > 0) {
		if ((got = gipc_broadcast__resume(w)) == 0) {
			GIPC__ADD(&b->header->sessions, 1);
			gipc__wake(&b->header->readers_sleep); /* they now have us to watch */
			return 0;
		}
		gipc__leave(&b->base, w->lifeline, GIPC_BROADCAST__WRITER, w->ticket);
	}
	gipc_broadcast_forget_writer(w);
	return got ? got : -EBUSY;
}

/* kept returns the first message from n on that stays whole when the data is written up to
 * end and the index up to entry next. */
static inline uint64_t gipc_broadcast__kept(const struct gipc_broadcast_writer *w, uint64_t n, uint64_t end, uint64_t next)
{
	const struct gipc_broadcast *b = &w->broadcast;
	while (n < w->next && (next - n > b->entries ||
			       end - GIPC__LOAD(&gipc_broadcast__entry(b, n)->position) > b->capacity))
		n++;
	return n;
}

/* scan finds the first message that any reader that blocks still needs. */
static inline uint64_t gipc_broadcast__scan(struct gipc_broadcast_writer *w)
{
	const struct gipc_broadcast *b = &w->broadcast;
	uint64_t mask, next;
	w->joins = GIPC__LOAD(&b->header->joins); /* a reader that comes later changes it */
	w->safe = UINT64_MAX;
	for (mask = GIPC__LOAD(&b->header->blocking); mask;) {
		int i = gipc_broadcast__next_bit(&mask);
		if (!GIPC__LOAD(&b->header->members[i].ticket))
			continue;
		next = GIPC__LOAD(&b->slots[i].next);
		if (next < w->safe)
			w->safe = next;
	}
	return w->safe;
}

/* raise declares messages before first overwritten. No process may see a store of data
 * before the store of the floor. For small messages, raise stores a higher floor than
 * needed, because readers of the latest fetch the word each time it changes. */
static inline void gipc_broadcast__raise(struct gipc_broadcast_writer *w, uint64_t first, uint64_t end, uint64_t size)
{
	const struct gipc_broadcast *b = &w->broadcast;
	uint64_t joins;
	if (size <= b->capacity / 256)
		first = gipc_broadcast__kept(w, first, end + b->capacity / 16, w->next + 1 + b->entries / 16);
	GIPC__STORE(&b->header->floor, first);
	GIPC__FENCE();
	w->floor = first;
	joins = GIPC__LOAD(&b->header->joins);
	if (joins != w->joins) {
		w->joins = joins;
		w->safe = 0;
	}
}

/* await waits until no reader needs a message before first. It returns 1 or an error. */
static inline int gipc_broadcast__await(struct gipc_broadcast_writer *w, uint64_t first, int64_t deadline)
{
	struct gipc_broadcast_header *h = w->broadcast.header;
	uint64_t wanted = first;
	int64_t checked;
	int spun, err;
	if (first <= w->safe || gipc_broadcast__scan(w) >= first)
		return 1;
	gipc_broadcast__evict(w);
	for (spun = 0; deadline && w->broadcast.base.spin && spun < 4096; spun += 64) {
		gipc__pause(64);
		if (gipc_broadcast__scan(w) >= first)
			return 1;
	}
	/* With many small messages, a reader wakes us once it has received half of them. If it
	 * woke us for each one, we would fall asleep again as often. */
	if (w->next - first > 16)
		wanted += (w->next - first) / 2;
	GIPC__STORE(&h->wanted, wanted);
	for (checked = gipc__now();;) {
		uint32_t v = GIPC__OR(&h->writer_sleeps, 1) | 1;
		if (gipc_broadcast__scan(w) >= first)
			return 1;
		if ((err = gipc__sleep(&h->writer_sleeps, v, deadline)) < 0)
			return gipc_broadcast__scan(w) >= first ? 1 : err;
		if (gipc__now() - checked >= GIPC__TICK) {
			checked = gipc__now();
			gipc_broadcast__evict(w);
		}
	}
}

/* gipc_broadcast_claim reserves room for a message of n bytes, from 0 to
 * gipc_broadcast_max_message, and sets *msg to its beginning. Write the message there, then
 * call gipc_broadcast_commit or gipc_broadcast_abort: the writer has one claim at a time.
 * The call waits while a reader that blocks has not received what the message would
 * overwrite. It does not wait for a dead reader: it notices the death within 0.15 s.
 *
 * -ETIMEDOUT: gipc_broadcast_slowest names the slow reader. -EINTR. -EMSGSIZE: n is too
 * large. -EALREADY: a claim is under way. -EBADF: the writer has left. */
GIPC_API int gipc_broadcast_claim(struct gipc_broadcast_writer *w, uint64_t n, void **msg, int64_t timeout)
{
	const struct gipc_broadcast *b = &w->broadcast;
	uint64_t size = gipc__extent(n), at = w->end, first;
	int64_t deadline;
	int err;
	if (w->lifeline < 0)
		return -EBADF;
	if (w->claimed)
		return -EALREADY;
	if (n > b->capacity / 2)
		return -EMSGSIZE;
	if ((at & b->mask) + size > b->capacity)
		at = (at | b->mask) + 1;
	first = gipc_broadcast__kept(w, w->floor, at + size, w->next + 1);
	if (first > w->safe || first > w->floor) {
		deadline = timeout ? gipc__deadline(timeout) : 0;
		if ((err = gipc_broadcast__await(w, first, deadline)) < 0)
			return err;
		if (first > w->floor) {
			gipc_broadcast__raise(w, first, at + size, size);
			if ((err = gipc_broadcast__await(w, first, deadline)) < 0) /* a reader has joined */
				return err;
		}
	}
	w->claimed = 1;
	w->claim = at;
	w->length = n;
	*msg = b->data + (at & b->mask);
	return 0;
}

/* gipc_broadcast_commit sends the first n bytes of the claim as a message, and wakes
 * readers that sleep. -EINVAL: there is no claim, or it is shorter than n. */
GIPC_API int gipc_broadcast_commit(struct gipc_broadcast_writer *w, uint64_t n)
{
	const struct gipc_broadcast *b = &w->broadcast;
	struct gipc_broadcast_entry *e = gipc_broadcast__entry(b, w->next);
	if (!w->claimed || n > w->length)
		return -EINVAL;
	w->claimed = 0;
	GIPC__STORE(&e->position, w->claim);
	GIPC__STORE(&e->length, n);
	w->end = w->claim + gipc__extent(n);
	w->next++;
	GIPC__STORE(&b->header->published, w->next);
	gipc__wake(&b->header->readers_sleep);
	return 0;
}

/* gipc_broadcast_abort gives up the claim without sending a message. -EINVAL: there is no
 * claim. */
GIPC_API int gipc_broadcast_abort(struct gipc_broadcast_writer *w)
{
	if (!w->claimed)
		return -EINVAL;
	w->claimed = 0;
	return 0;
}

/* gipc_broadcast_send sends a copy of n bytes. Errors are those of gipc_broadcast_claim. */
GIPC_API int gipc_broadcast_send(struct gipc_broadcast_writer *w, const void *msg, uint64_t n, int64_t timeout)
{
	void *to;
	int err = gipc_broadcast_claim(w, n, &to, timeout);
	if (err < 0)
		return err;
	if (n)
		memcpy(to, msg, (size_t)n);
	return gipc_broadcast_commit(w, n);
}

/* gipc_broadcast_slowest sets *s to the reader for which a claim waited until it timed out.
 * It returns 1, or 0 if no reader blocks any more. *s comes from the reader's own words in
 * the memory, so a hostile reader can falsify it. */
GIPC_API int gipc_broadcast_slowest(const struct gipc_broadcast_writer *w, struct gipc_broadcast_subscriber *s)
{
	const struct gipc_broadcast *b = &w->broadcast;
	uint64_t mask, most = 0, word;
	int i, j, slowest = -1;
	for (mask = GIPC__LOAD(&b->header->blocking); mask;) {
		uint64_t behind;
		i = gipc_broadcast__next_bit(&mask);
		behind = w->next - GIPC__LOAD(&b->slots[i].next);
		if (!GIPC__LOAD(&b->header->members[i].ticket) || (slowest >= 0 && (int64_t)behind <= (int64_t)most))
			continue;
		most = (int64_t)behind > 0 ? behind : 0;
		slowest = i;
	}
	if (slowest < 0)
		return 0;
	memset(s, 0, sizeof *s);
	for (j = 0; j < GIPC_BROADCAST_LABEL / 8; j++) {
		word = GIPC__LOAD(&b->slots[slowest].label[j]);
		memcpy(s->label + 8 * j, &word, 8);
	}
	s->policy = GIPC__LOAD(&b->slots[slowest].policy);
	s->pid = GIPC__LOAD(&b->header->members[slowest].pid);
	s->pid_namespace = GIPC__LOAD(&b->header->members[slowest].pid_namespace);
	s->behind = most;
	s->lost = GIPC__LOAD(&b->slots[slowest].lost);
	return 1;
}

/* gipc_broadcast_leave_writer leaves the broadcast. Readers see the end after the last
 * message; another writer may join later. */
GIPC_API int gipc_broadcast_leave_writer(struct gipc_broadcast_writer *w)
{
	if (w->lifeline < 0)
		return -EBADF;
	w->claimed = 0;
	gipc__leave(&w->broadcast.base, w->lifeline, GIPC_BROADCAST__WRITER, w->ticket);
	gipc__wake(&w->broadcast.header->readers_sleep);
	gipc_broadcast_forget_writer(w);
	return 0;
}

/* begin determines the first message. The order matters: either the writer sees the new
 * number of joins after it has stored the floor, and waits for us, or we see that floor. */
static inline int gipc_broadcast__begin(struct gipc_broadcast_reader *r, unsigned flags, const char *label)
{
	struct gipc_broadcast_header *h = r->broadcast.header;
	struct gipc_broadcast_slot *s = &r->broadcast.slots[r->slot];
	uint64_t bit = 1ULL << r->slot, floor, words[GIPC_BROADCAST_LABEL / 8] = { 0 }, ticket;
	int i, dead;
	memcpy(words, label, strlen(label));
	GIPC__AND(&h->blocking, ~bit);
	GIPC__STORE(&s->next, GIPC__LOAD(&h->floor));
	GIPC__STORE(&s->lost, 0);
	GIPC__STORE(&s->policy, r->policy);
	for (i = 0; i < GIPC_BROADCAST_LABEL / 8; i++)
		GIPC__STORE(&s->label[i], words[i]);
	if (r->policy == GIPC_BROADCAST_BLOCK)
		GIPC__OR(&h->blocking, bit);
	GIPC__ADD(&h->joins, 1);

	floor = GIPC__LOAD(&h->floor);
	r->published = GIPC__LOAD(&h->published);
	r->next = flags & GIPC_BROADCAST_OLDEST ? floor : r->published;
	if (r->published - floor > r->broadcast.entries && GIPC__LOAD(&h->floor) == floor) {
		GIPC__AND(&h->blocking, ~bit);
		return -EUCLEAN;
	}
	GIPC__STORE(&s->next, r->next);

	/* The end of an earlier writer is reported only to a reader that begins with the oldest
	 * message. */
	r->seen = GIPC__LOAD(&h->sessions);
	dead = gipc__dead(&r->broadcast.base, r->lifeline, GIPC_BROADCAST__WRITER, &ticket);
	if (r->seen && (flags & GIPC_BROADCAST_OLDEST || (!gipc__vacant(ticket) && !dead)))
		r->seen--;
	return 0;
}

/* gipc_broadcast_subscribe joins the broadcast as a reader: policy is GIPC_BROADCAST_BLOCK
 * or GIPC_BROADCAST_LATEST. The label tells people who it is.
 *
 * -EINVAL: the policy, the flags, or a label of more than GIPC_BROADCAST_LABEL bytes.
 * -EBUSY: there are 64 readers, all alive. -EUCLEAN. Or an error of open(2). */
GIPC_API int gipc_broadcast_subscribe(struct gipc_broadcast_reader *r, const struct gipc_broadcast *b,
				      unsigned policy, unsigned flags, const char *label)
{
	int i, got = 0;
	memset(r, 0, sizeof *r);
	r->lifeline = -1;
	if ((policy != GIPC_BROADCAST_BLOCK && policy != GIPC_BROADCAST_LATEST) || flags & ~GIPC_BROADCAST_OLDEST ||
	    strlen(label) > GIPC_BROADCAST_LABEL)
		return -EINVAL;
	r->broadcast = *b;
	r->policy = policy;
	if ((got = gipc__join(&b->base)) < 0)
		return got;
	r->lifeline = got;
	for (i = 0, got = 0; i < 2 * GIPC_BROADCAST_READERS && !got; i++) {
		r->slot = i % GIPC_BROADCAST_READERS;
		if (i >= GIPC_BROADCAST_READERS)
			got = gipc_broadcast__bury(b, r->lifeline, r->slot, &r->ticket);
		else if (!GIPC__LOAD(&b->header->members[i].ticket))
			got = gipc__take(&b->base, r->lifeline, i, 0, &r->ticket);
	}
	if (got > 0) {
		if ((got = gipc_broadcast__begin(r, flags, label)) == 0)
			return 0;
		gipc__leave(&b->base, r->lifeline, r->slot, r->ticket);
	}
	gipc_broadcast_forget_reader(r);
	return got ? got : -EBUSY;
}

/* skip goes on to the newest message, after the next one was overwritten. */
static inline int gipc_broadcast__skip(struct gipc_broadcast_reader *r)
{
	struct gipc_broadcast_slot *s = &r->broadcast.slots[r->slot];
	uint64_t published = GIPC__LOAD(&r->broadcast.header->published), n = published - r->next;
	if ((int64_t)n <= 0) /* only published messages are overwritten */
		return -EUCLEAN;
	r->lost += n - 1;
	r->next = published - 1;
	r->published = published;
	if (n == 1) { /* the newest one is being overwritten too: go on after it */
		r->lost++;
		r->next++;
	}
	GIPC__STORE(&s->lost, r->lost);
	GIPC__STORE(&s->next, r->next);
	return 0;
}

/* ready returns 1 if there is a message, -ENODATA at the end, 0 otherwise. */
static inline int gipc_broadcast__ready(struct gipc_broadcast_reader *r)
{
	struct gipc_broadcast_header *h = r->broadcast.header;
	uint64_t published, n;
	uint32_t session;
	if (r->next != r->published)
		return 1;
	published = GIPC__LOAD(&h->published);
	n = published - r->next;
	if (n) {
		if ((int64_t)n < 0 || (r->policy == GIPC_BROADCAST_BLOCK && n > r->broadcast.entries))
			return -EUCLEAN;
		r->published = published;
		return 1;
	}
	/* A writer publishes before it leaves, and takes its role before it is counted. */
	session = GIPC__LOAD(&h->sessions);
	if (session == r->seen || GIPC__LOAD(&h->members[GIPC_BROADCAST__WRITER].ticket) != GIPC__GONE ||
	    GIPC__LOAD(&h->published) != r->next)
		return 0;
	r->seen = session;
	return -ENODATA;
}

/* died returns -EOWNERDEAD if the writer has died, all its messages were received, and its
 * end has not been reported yet. */
static inline int gipc_broadcast__died(struct gipc_broadcast_reader *r)
{
	struct gipc_broadcast_header *h = r->broadcast.header;
	uint32_t session = GIPC__LOAD(&h->sessions);
	uint64_t ticket;
	if (session == r->seen ||
	    !gipc__dead(&r->broadcast.base, r->lifeline, GIPC_BROADCAST__WRITER, &ticket) ||
	    GIPC__LOAD(&h->published) != r->next)
		return 0;
	r->seen = session;
	return -EOWNERDEAD;
}

/* await_message waits for a message. It returns 1, -ENODATA at the end, or another
 * error. */
static inline int gipc_broadcast__await_message(struct gipc_broadcast_reader *r, int64_t timeout, int64_t deadline)
{
	uint32_t *word = &r->broadcast.header->readers_sleep;
	int64_t checked;
	int got = gipc_broadcast__ready(r), spun;
	if (got)
		return got;
	if (!timeout) {
		got = gipc__due(&r->looked) ? gipc_broadcast__died(r) : 0;
		return got ? got : -ETIMEDOUT;
	}
	for (spun = 0; r->broadcast.base.spin && spun < 4096; spun += 32) {
		gipc__pause(32);
		if ((got = gipc_broadcast__ready(r)))
			return got;
	}
	for (checked = gipc__now();;) {
		uint32_t v = GIPC__OR(word, 1) | 1;
		if ((got = gipc_broadcast__ready(r)) || (got = gipc__sleep(word, v, deadline)) < 0)
			return got;
		if (gipc__now() - checked >= GIPC__TICK) {
			checked = gipc__now();
			if ((got = gipc_broadcast__died(r)))
				return got;
		}
	}
}

/* find waits for a message and sets *msg and *n to it. */
static inline int gipc_broadcast__find(struct gipc_broadcast_reader *r, const void **msg, uint64_t *n, int64_t timeout,
				       int64_t deadline)
{
	const struct gipc_broadcast *b = &r->broadcast;
	uint64_t pos, length;
	int ok, got, tries;
	for (tries = 0; tries < 4096; tries++) { /* the writer may overwrite again and again */
		if ((got = gipc_broadcast__await_message(r, timeout, deadline)) < 0)
			return got == -ENODATA ? 0 : got;
		ok = gipc_broadcast__locate(b, r->next, &pos, &length);
		if (r->policy == GIPC_BROADCAST_LATEST && GIPC__LOAD(&b->header->floor) > r->next) {
			if ((got = gipc_broadcast__skip(r)) < 0)
				return got;
			continue;
		}
		if (!ok)
			return -EUCLEAN;
		*msg = b->data + (pos & b->mask);
		*n = length;
		return 1;
	}
	return -ETIMEDOUT;
}

/* gipc_broadcast_release ends the use of the message that was received in place. -ENOBUFS:
 * the writer has overwritten it meanwhile, which happens only to readers of the latest.
 * Throw away what you read of it: it counts as lost. -EINVAL: no message was received.
 * -EUCLEAN. */
GIPC_API int gipc_broadcast_release(struct gipc_broadcast_reader *r)
{
	struct gipc_broadcast_header *h = r->broadcast.header;
	int err;
	if (!r->received)
		return -EINVAL;
	r->received = 0;
	/* The fence keeps the loads of the message before the load of the floor. */
	GIPC__STORE(&r->broadcast.slots[r->slot].next, r->next + 1);
	GIPC__FENCE();
	if (r->policy == GIPC_BROADCAST_LATEST) {
		if (GIPC__LOAD(&h->floor) > r->next)
			return (err = gipc_broadcast__skip(r)) < 0 ? err : -ENOBUFS;
	} else if (GIPC__LOAD(&h->writer_sleeps) & 1 && r->next + 1 >= GIPC__LOAD(&h->wanted)) {
		gipc__wake(&h->writer_sleeps);
	}
	r->next++;
	return 0;
}

/* gipc_broadcast_receive sets *msg and *n to the next message and returns 1. The message
 * stays in the shared memory. A reader that blocks keeps it until it calls
 * gipc_broadcast_release or receives the next one. For a reader of the latest it can change
 * at any time, and is valid only if gipc_broadcast_release returns 0 afterwards;
 * gipc_broadcast_read copies the message and checks that.
 *
 * It waits until there is a message. It returns 0 when the writer has left and everything
 * was received, or -EOWNERDEAD if the writer has died. Called again, it waits for another
 * writer. -ETIMEDOUT, -EINTR, -EUCLEAN. */
GIPC_API int gipc_broadcast_receive(struct gipc_broadcast_reader *r, const void **msg, uint64_t *n, int64_t timeout)
{
	int got;
	if (r->lifeline < 0)
		return -EBADF;
	if (r->received && (got = gipc_broadcast_release(r)) < 0 && got != -ENOBUFS)
		return got;
	got = gipc_broadcast__find(r, msg, n, timeout, timeout ? gipc__deadline(timeout) : 0);
	r->received = got > 0;
	return got;
}

/* gipc_broadcast_read copies the next message to buffer, always a whole one, sets *n to its
 * length and returns 1. It waits and fails like gipc_broadcast_receive. -EMSGSIZE: the
 * message is larger than size: *n is its length, and it is still the next one. */
GIPC_API int gipc_broadcast_read(struct gipc_broadcast_reader *r, void *buffer, uint64_t size, uint64_t *n,
				 int64_t timeout)
{
	int64_t deadline = timeout ? gipc__deadline(timeout) : 0;
	const void *msg;
	int got, tries;
	if (r->lifeline < 0)
		return -EBADF;
	if (r->received && (got = gipc_broadcast_release(r)) < 0 && got != -ENOBUFS)
		return got;
	for (tries = 0; tries < 4096; tries++) {
		if ((got = gipc_broadcast__find(r, &msg, n, timeout, deadline)) <= 0)
			return got;
		if (*n > size)
			return -EMSGSIZE;
		if (*n)
			memcpy(buffer, msg, (size_t)*n);
		r->received = 1;
		if ((got = gipc_broadcast_release(r)) != -ENOBUFS)
			return got < 0 ? got : 1;
	}
	return -ETIMEDOUT;
}

/* gipc_broadcast_lost returns how many messages were overwritten before the reader received
 * them. Each message from the first on is either received or lost. */
GIPC_API uint64_t gipc_broadcast_lost(const struct gipc_broadcast_reader *r)
{
	return r->lost;
}

/* gipc_broadcast_next returns the number of the message that comes next; the first of a
 * broadcast is 0. */
GIPC_API uint64_t gipc_broadcast_next(const struct gipc_broadcast_reader *r)
{
	return r->next;
}

/* gipc_broadcast_leave_reader leaves the broadcast. The writer no longer waits for it. */
GIPC_API int gipc_broadcast_leave_reader(struct gipc_broadcast_reader *r)
{
	struct gipc_broadcast_header *h = r->broadcast.header;
	if (r->lifeline < 0)
		return -EBADF;
	GIPC__AND(&h->blocking, ~(1ULL << r->slot));
	gipc__leave(&r->broadcast.base, r->lifeline, r->slot, r->ticket);
	gipc__wake(&h->writer_sleeps);
	gipc_broadcast_forget_reader(r);
	return 0;
}

#ifdef __cplusplus
}
#endif

#endif
