/* The single-producer side and the consumer of shmring's layout, version 1, in C.
 * docs/ring.md is the specification. Nothing here comes from the Go code. */
#ifndef RING_H
#define RING_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RING_MAGIC 0x676e697263706967ULL
#define RING_SLOTS 64
#define RING_UNIT 64
#define RING_GONE UINT64_MAX
#define RING_SWEEP (1ULL << 54)
#define RING_TICK_NS 150000000L

enum { FREE = 0, CLAIMED = 1, COMMITTED = 2, SKIPPED = 3 };

struct ring_header {
	_Atomic uint64_t magic;
	_Atomic uint32_t version, mode;
	_Atomic uint64_t capacity, size;
	_Atomic uint32_t unit, slot_count;
	_Atomic uint64_t states, data, boot, namespaces;
	char pad0[56];
	_Atomic uint64_t tail;
	char pad1[120];
	_Atomic uint64_t head;
	_Atomic uint32_t seen_joins, seen_deaths;
	char pad2[112];
	_Atomic uint32_t consumer_sleeps;
	char pad3[4];
	_Atomic uint64_t consumer;
	char pad4[112];
	_Atomic uint32_t producers_sleep;
	char pad5[124];
	_Atomic uint32_t joins, deaths;
	char pad6[376];
	_Atomic uint64_t slots[RING_SLOTS];
	char pad7[512];
};

_Static_assert(offsetof(struct ring_header, namespaces) == 64, "namespaces");
_Static_assert(offsetof(struct ring_header, tail) == 128, "tail");
_Static_assert(offsetof(struct ring_header, head) == 256, "head");
_Static_assert(offsetof(struct ring_header, consumer_sleeps) == 384, "consumer_sleeps");
_Static_assert(offsetof(struct ring_header, consumer) == 392, "consumer");
_Static_assert(offsetof(struct ring_header, producers_sleep) == 512, "producers_sleep");
_Static_assert(offsetof(struct ring_header, joins) == 640, "joins");
_Static_assert(offsetof(struct ring_header, slots) == 1024, "slots");
_Static_assert(sizeof(struct ring_header) == 2048, "header");

struct ring {
	struct ring_header *h;
	_Atomic uint64_t *states;
	char *data;
	uint64_t capacity, mask, self;
};

static inline void die(const char *what)
{
	perror(what);
	exit(3);
}

static inline void ring_pause(int n)
{
	while (n-- > 0)
#if defined __x86_64__ || defined __i386__
		__builtin_ia32_pause();
#else
		__asm__ volatile("");
#endif
}

static uint64_t proc_start(int pid, char *state)
{
	char path[64], text[1024], *p;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	p = strrchr(text, ')');
	if (!p)
		return 0;
	p += 2;
	*state = *p;
	for (int field = 3; field < 22; field++)
		p = strchr(p, ' ') + 1;
	return strtoull(p, NULL, 10) & ((1ULL << 42) - 1);
}

static uint64_t ring_identity(void)
{
	char state;
	return proc_start(getpid(), &state) << 22 | (uint64_t)getpid();
}

static bool ring_dead(uint64_t id)
{
	char state = 0;
	int pid = id & ((1 << 22) - 1);
	if (id == RING_GONE || pid == 0)
		return false;
	if (kill(pid, 0) && errno == ESRCH)
		return true;
	uint64_t start = proc_start(pid, &state);
	return start && (start != id >> 22 || state == 'Z');
}

static inline uint64_t data_offset(uint64_t capacity)
{
	return (2048 + capacity / 8 + 4095) & ~4095ULL;
}

static uint64_t boot_id(void)
{
	char text[64] = "", digits[17];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY), n = 0;
	if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
		die("boot_id");
	close(fd);
	for (char *p = text; *p && n < 16; p++)
		if (*p != '-')
			digits[n++] = *p;
	digits[n] = 0;
	return strtoull(digits, NULL, 16);
}

static uint64_t inode(const char *path)
{
	struct stat st;
	return stat(path, &st) ? 0 : st.st_ino;
}

static uint64_t namespaces(void)
{
	return inode("/proc/self/ns/pid") << 32 | (inode("/proc/self/ns/time") & 0xffffffff);
}

/* ring_create lays out a ring for one producer in zeroed memory. */
static inline void ring_create(void *mem, uint64_t size, uint64_t capacity)
{
	struct ring_header *h = mem;
	h->version = 1;
	h->mode = 1;
	h->capacity = capacity;
	h->size = size;
	h->unit = RING_UNIT;
	h->slot_count = RING_SLOTS;
	h->states = 2048;
	h->data = data_offset(capacity);
	h->boot = boot_id();
	h->namespaces = namespaces();
	h->tail = h->head = capacity;
	h->magic = RING_MAGIC;
}

static inline struct ring ring_open(void *mem, uint64_t size)
{
	struct ring r = { .h = mem };
	r.capacity = r.h->capacity;
	r.mask = r.capacity - 1;
	if (r.h->magic != RING_MAGIC || r.h->version != 1 || r.h->size != size ||
	    r.capacity < 4096 || r.capacity & r.mask || data_offset(r.capacity) + r.capacity > size) {
		fprintf(stderr, "not a ring\n");
		exit(3);
	}
	r.states = (void *)((char *)mem + 2048);
	r.data = (char *)mem + data_offset(r.capacity);
	r.self = ring_identity();
	return r;
}

static inline uint64_t extent(uint64_t length)
{
	return length ? (length + RING_UNIT - 1) & ~(uint64_t)(RING_UNIT - 1) : RING_UNIT;
}

static inline uint64_t make_word(struct ring *r, uint64_t pos, uint64_t length, int state)
{
	return ((pos & ~r->mask) | length) << 8 | state;
}

static inline bool is_current(struct ring *r, uint64_t w, uint64_t pos)
{
	return (w & 3) != FREE && (((w >> 8 ^ pos) & ~r->mask) << 8) == 0;
}

static inline _Atomic uint64_t *state_of(struct ring *r, uint64_t pos)
{
	return &r->states[(pos & r->mask) / RING_UNIT];
}

static inline void ring_wake(_Atomic uint32_t *word)
{
	uint32_t v = atomic_load(word);
	if (v & 1 && atomic_compare_exchange_strong(word, &v, (v + 2) & ~1u))
		syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ring_sleep returns the value to sleep on; ring_doze sleeps for one tick at most. */
static inline uint32_t ring_sleep(_Atomic uint32_t *word)
{
	return atomic_fetch_or(word, 1) | 1;
}

static inline void ring_doze(_Atomic uint32_t *word, uint32_t value)
{
	struct timespec tick = { 0, RING_TICK_NS };
	syscall(SYS_futex, word, FUTEX_WAIT, value, &tick, NULL, 0);
}

struct producer {
	struct ring r;
	uint64_t tail, head, stale;
};

/* ring_clear makes pos, where a record ends, free of what a dead producer left. */
static inline void ring_clear(struct producer *p, uint64_t pos)
{
	if ((int64_t)(p->stale - pos) > 0)
		*state_of(&p->r, pos) = 0;
}

static inline struct producer ring_join(struct ring r)
{
	struct producer p = { .r = r };
	uint64_t none = 0;
	if (!atomic_compare_exchange_strong(&r.h->slots[0], &none, r.self)) {
		if (!ring_dead(none) || !atomic_compare_exchange_strong(&r.h->slots[0], &none, r.self)) {
			fprintf(stderr, "ring is busy\n");
			exit(4);
		}
		atomic_fetch_add(&r.h->deaths, 1);
	}
	p.head = p.tail = r.h->head;
	for (uint64_t w; p.tail - p.head < r.capacity; p.tail += extent(w >> 8 & r.mask)) {
		w = *state_of(&r, p.tail);
		if (!is_current(&r, w, p.tail) || (w & 3) < COMMITTED)
			break;
	}
	p.stale = p.head + r.capacity;
	ring_clear(&p, p.tail);
	atomic_fetch_add(&r.h->joins, 1);
	ring_wake(&r.h->consumer_sleeps);
	return p;
}

static inline bool has_room(struct producer *p, uint64_t size)
{
	if (p->tail - p->head + size <= p->r.capacity)
		return true;
	p->head = p->r.h->head;
	return p->tail - p->head + size <= p->r.capacity;
}

static inline void wait_room(struct producer *p, uint64_t size)
{
	_Atomic uint32_t *word = &p->r.h->producers_sleep;
	for (int spun = 0; spun < 4096; spun += 64) {
		if (has_room(p, size))
			return;
		ring_pause(64);
	}
	for (;;) {
		uint32_t v = ring_sleep(word);
		if (has_room(p, size))
			return;
		ring_doze(word, v);
		if (ring_dead(p->r.h->consumer)) {
			fprintf(stderr, "consumer died\n");
			exit(5);
		}
	}
}

static inline char *ring_claim(struct producer *p, uint64_t length)
{
	uint64_t size = extent(length), rest = p->r.capacity - (p->tail & p->r.mask);
	if (rest < size) {
		if (!has_room(p, rest))
			wait_room(p, rest);
		ring_clear(p, p->tail + rest);
		*state_of(&p->r, p->tail) = make_word(&p->r, p->tail, rest, SKIPPED);
		p->tail += rest;
	}
	if (!has_room(p, size))
		wait_room(p, size);
	return p->r.data + (p->tail & p->r.mask);
}

static inline void ring_commit(struct producer *p, uint64_t length)
{
	ring_clear(p, p->tail + extent(length));
	atomic_store(state_of(&p->r, p->tail), make_word(&p->r, p->tail, length, COMMITTED));
	p->tail += extent(length);
	ring_wake(&p->r.h->consumer_sleeps);
}

static inline void ring_leave(struct producer *p)
{
	p->r.h->slots[0] = 0;
	ring_wake(&p->r.h->consumer_sleeps);
}

struct consumer {
	struct ring r;
	uint64_t next, asleep;
};

static inline struct consumer ring_attend(struct ring r)
{
	uint64_t was = r.h->consumer;
	if ((was && was != RING_GONE && !ring_dead(was)) ||
	    !atomic_compare_exchange_strong(&r.h->consumer, &was, r.self)) {
		fprintf(stderr, "ring is busy\n");
		exit(4);
	}
	return (struct consumer){ .r = r, .next = r.h->head };
}

/* ring_look returns the next message, or NULL if there is none. */
static inline char *ring_look(struct consumer *c, uint64_t *length)
{
	for (;;) {
		uint64_t w = *state_of(&c->r, c->next), at = c->next & c->r.mask;
		if (!is_current(&c->r, w, c->next) || (w & 3) < COMMITTED)
			return NULL;
		*length = w >> 8 & c->r.mask;
		c->next += extent(*length);
		if ((w & 3) == COMMITTED)
			return c->r.data + at;
	}
}

static inline void ring_release(struct consumer *c)
{
	struct ring_header *h = c->r.h;
	uint64_t pos = h->head;
	if (pos == c->next)
		return;
	atomic_store(&h->head, c->next);
	if (c->next % RING_SWEEP < 2 * c->r.capacity)
		for (; pos != c->next; pos += RING_UNIT) {
			uint64_t w = *state_of(&c->r, pos);
			if (!is_current(&c->r, w, pos + c->r.capacity))
				atomic_compare_exchange_strong(state_of(&c->r, pos), &w, make_word(&c->r, pos, 0, FREE));
		}
	if (atomic_load(&h->producers_sleep) & 1) {
		if (!c->asleep)
			c->asleep = c->next;
		if (c->next - c->asleep >= c->r.capacity / 2) {
			c->asleep = 0;
			ring_wake(&h->producers_sleep);
		}
	}
}

/* ring_receive returns the next message, waiting for it, or NULL at the end. */
static inline char *ring_receive(struct consumer *c, uint64_t *length)
{
	struct ring_header *h = c->r.h;
	char *msg;
	ring_release(c);
	if ((msg = ring_look(c, length)))
		return msg;
	ring_release(c);
	c->asleep = 0;
	ring_wake(&h->producers_sleep);
	for (int spun = 0; spun < 4096; spun += 32) {
		ring_pause(32);
		if ((msg = ring_look(c, length)))
			return msg;
	}
	for (;;) {
		uint32_t v = ring_sleep(&h->consumer_sleeps);
		if ((msg = ring_look(c, length)))
			return msg;
		uint32_t joins = h->joins;
		bool none = h->slots[0] == 0;
		if (none && joins != h->seen_joins && !(msg = ring_look(c, length))) {
			h->seen_joins = joins;
			return NULL;
		}
		if (msg)
			return msg;
		ring_doze(&h->consumer_sleeps, v);
		if (ring_dead(h->slots[0])) {
			fprintf(stderr, "producer died\n");
			exit(5);
		}
	}
}

static inline void ring_close(struct consumer *c)
{
	ring_release(c);
	c->r.h->consumer = RING_GONE;
	ring_wake(&c->r.h->producers_sleep);
}

#endif
