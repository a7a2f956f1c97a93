/* A process that joins the ring in the memory of descriptor 3.
 *
 *   ring produce COUNT SIZE   sends COUNT messages of SIZE bytes
 *   ring consume COUNT        receives COUNT messages, prints "COUNT NANOSECONDS", from
 *                             the first message to the last
 *   ring verify               receives until the end and checks each message
 *   ring numbers ID COUNT     sends COUNT numbered messages as one of several producers
 *   ring create CAPACITY MANY lays the ring out
 *   ring hold ROLE            takes the role "producer", "claim" or "consumer", says
 *                             "ready", and keeps it until it is killed
 *   ring check                checks what the functions return in all cases
 *   ring object NAME          opens the object, or makes it, and checks that it cannot
 *                             remove it while it is open twice; says "ready", and
 *                             removes or unlinks it when told to
 *
 * Contents: message number i begins with i as a native 64-bit number, if it is that
 * long; any other byte j is i*31+j. "produce COUNT 0" varies the length: i*7 % 1000. */
#include "gipc_ring.h"
#include "peer.h"
#include <sys/wait.h>

static int produce(struct gipc_ring *r, uint64_t count, uint64_t size)
{
	struct gipc_ring_producer p;
	char *source = (char *)calloc(1, size + 8);
	uint64_t i;
	must("join", gipc_ring_join_producer(&p, r));
	for (i = 0; i < count; i++) {
		uint64_t n = size ? size : i * 7 % 1000;
		void *msg;
		must("claim", gipc_ring_claim(&p, n, &msg, -1));
		if (size) {
			memcpy(source, &i, 8);
			memcpy(msg, source, n);
		} else {
			fill((char *)msg, i, n);
		}
		must("commit", gipc_ring_commit(&p, n));
	}
	must("leave", gipc_ring_leave_producer(&p));
	free(source);
	return 0;
}

/* A numbered message consists of its producer's number, its own number, and contents that
 * depend on both. */
static int numbers(struct gipc_ring *r, uint64_t id, uint64_t count)
{
	struct gipc_ring_producer p;
	uint64_t i, j, n;
	char msg[1100];
	must("join", gipc_ring_join_producer(&p, r));
	for (i = 0; i < count; i++) {
		n = (i + id) * 7 % 1000;
		memcpy(msg, &id, 8);
		memcpy(msg + 8, &i, 8);
		for (j = 0; j < n; j++)
			msg[16 + j] = (char)(i * 7 + id + j);
		must("send", gipc_ring_send(&p, msg, 16 + n, -1));
	}
	return must("leave", gipc_ring_leave_producer(&p));
}

static int consume(struct gipc_ring *r, uint64_t expected, int verify)
{
	struct gipc_ring_consumer c;
	const void *msg;
	char copy[4096], want[4096];
	uint64_t n, count = 0;
	int64_t first = 0, last;
	must("join", gipc_ring_join_consumer(&c, r));
	while (must("receive", gipc_ring_receive(&c, &msg, &n, -1)) > 0) {
		if (!count)
			first = now();
		if (n > sizeof copy) {
			fprintf(stderr, "message %llu has %llu bytes\n", (unsigned long long)count, (unsigned long long)n);
			return 1;
		}
		memcpy(copy, msg, n);
		if (verify) {
			fill(want, count, n);
			if (n != count * 7 % 1000 || memcmp(copy, want, n)) {
				fprintf(stderr, "message %llu is wrong\n", (unsigned long long)count);
				return 1;
			}
		}
		if (++count == expected)
			break;
	}
	last = now();
	gipc_ring_release(&c);
	printf("%llu %lld\n", (unsigned long long)count, (long long)(last - first));
	return 0;
}

static int hold(struct gipc_ring *r, const char *role)
{
	struct gipc_ring_producer p;
	struct gipc_ring_consumer c;
	void *msg;
	char text[16];
	if (!strcmp(role, "consumer"))
		must("join", gipc_ring_join_consumer(&c, r));
	else
		must("join", gipc_ring_join_producer(&p, r));
	if (!strcmp(role, "claim"))
		must("claim", gipc_ring_claim(&p, 100, &msg, -1));
	puts("ready");
	fflush(stdout);
	while (fgets(text, sizeof text, stdin))
		if (!strcmp(text, "exec\n"))
			execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	return 0;
}

/* check_death forks children that die with a role. */
static void check_death(struct gipc_ring *r, struct gipc_ring_producer *mine)
{
	struct gipc_ring_consumer c;
	struct gipc_ring_producer p;
	const void *msg;
	void *claim;
	uint64_t n;
	int64_t began;
	pid_t child = fork();
	if (!child) {
		gipc_ring_forget_producer(mine);
		must("child: join", gipc_ring_join_producer(&p, r));
		must("child: claim", gipc_ring_claim(&p, 10, &claim, 0));
		_exit(0);
	}
	waitpid(child, NULL, 0);
	must("send", gipc_ring_send(mine, "after", 5, 0));
	must("join", gipc_ring_join_consumer(&c, r));
	began = now();
	expect("receive past a dead claim", gipc_ring_receive(&c, &msg, &n, 1000000000), 1);
	if (n != 5 || memcmp(msg, "after", 5) || now() - began > 500000000)
		expect("what was received in time", 0, 1);
	expect("receive", gipc_ring_receive(&c, &msg, &n, 1000000), -ETIMEDOUT);
	must("leave", gipc_ring_leave_producer(mine));
	expect("the end, one has died", gipc_ring_receive(&c, &msg, &n, -1), -EOWNERDEAD);
	must("leave", gipc_ring_leave_consumer(&c));
	must("join", gipc_ring_join_producer(mine, r));
	child = fork();
	if (!child) {
		gipc_ring_forget_producer(mine);
		must("child: join", gipc_ring_join_consumer(&c, r));
		_exit(0);
	}
	waitpid(child, NULL, 0);
	expect("check of a dead consumer", gipc_ring_check_consumer(mine), -EOWNERDEAD);
	while (!(gipc_ring_claim(mine, 2000, &claim, 0)))
		must("commit", gipc_ring_commit(mine, 2000));
	began = now();
	expect("claim with a dead consumer", gipc_ring_claim(mine, 2000, &claim, -1), -EOWNERDEAD);
	if (now() - began > 500000000)
		expect("claim in time", 0, 1);
	must("leave", gipc_ring_leave_producer(mine));
}

static int check(void *mem, uint64_t size)
{
	struct gipc_ring r, again;
	struct gipc_ring_producer p, q;
	struct gipc_ring_consumer c, d;
	const void *msg;
	void *claim;
	uint64_t n;
	unsigned many;
	expect("open of nothing", gipc_ring_open(&r, mem, size, 3, 0), -ENODATA);
	expect("create of 5000", gipc_ring_create(&r, mem, size, 3, 0, 5000, 0), -EINVAL);
	expect("create of too much", gipc_ring_create(&r, mem, size, 3, 0, 1 << 20, 0), -ERANGE);
	for (many = 0; many <= GIPC_RING_MANY; many++) {
		must("create", gipc_ring_create(&r, mem, size, 3, 0, 4096, many));
		expect("open of another size", gipc_ring_open(&again, mem, size - 4096, 3, 0), -ERANGE);
		expect("open without the file", gipc_ring_open(&again, mem, size, -1, 0), -EBADF);
		expect("open of another file", gipc_ring_open(&again, mem, size, 0, 0), -EBADF);
		expect("open at another offset", gipc_ring_open(&again, mem, size, 3, 64), -EBADF);
		must("open", gipc_ring_open(&again, mem, size, 3, 0));
		must("join", gipc_ring_join_producer(&p, &r));
		must("check", gipc_ring_check_consumer(&p));
		expect("a second producer", gipc_ring_join_producer(&q, &again), many ? 0 : -EBUSY);
		if (many)
			must("leave", gipc_ring_leave_producer(&q));
		must("join", gipc_ring_join_consumer(&c, &again));
		expect("a second consumer", gipc_ring_join_consumer(&d, &r), -EBUSY);
		expect("receive of nothing", gipc_ring_receive(&c, &msg, &n, 0), -ETIMEDOUT);
		expect("receive of nothing, waiting", gipc_ring_receive(&c, &msg, &n, 200000000), -ETIMEDOUT);
		expect("claim of too much", gipc_ring_claim(&p, 2049, &claim, 0), -EMSGSIZE);
		expect("commit of nothing", gipc_ring_commit(&p, 0), -EINVAL);
		expect("abort of nothing", gipc_ring_abort(&p), -EINVAL);
		must("claim", gipc_ring_claim(&p, 2048, &claim, 0));
		expect("a second claim", gipc_ring_claim(&p, 1, &claim, 0), -EALREADY);
		expect("commit of too much", gipc_ring_commit(&p, 2049), -EINVAL);
		memcpy(claim, "short", 5);
		must("commit", gipc_ring_commit(&p, 5));
		must("claim", gipc_ring_claim(&p, 2048, &claim, 0));
		must("abort", gipc_ring_abort(&p));
		expect("receive", gipc_ring_receive(&c, &msg, &n, 0), 1);
		if (n != 5 || memcmp(msg, "short", 5))
			expect("the message", 0, 1);
		gipc_ring_release(&c);
		while (!gipc_ring_send(&p, "x", 1, 0))
			;
		expect("send to a full ring", gipc_ring_send(&p, "x", 1, 200000000), -ETIMEDOUT);
		must("leave", gipc_ring_leave_producer(&p));
		expect("send after leaving", gipc_ring_send(&p, "x", 1, 0), -EBADF);
		while (gipc_ring_receive(&c, &msg, &n, 0) > 0)
			;
		must("join", gipc_ring_join_producer(&p, &again));
		must("leave", gipc_ring_leave_consumer(&c));
		expect("receive after leaving", gipc_ring_receive(&c, &msg, &n, 0), -EBADF);
		expect("send without a consumer", gipc_ring_send(&p, "x", 1, -1), -EPIPE);
		must("leave", gipc_ring_leave_producer(&p));
		gipc_ring_close(&again);
		expect("join of what is closed", gipc_ring_join_producer(&q, &again), -EBADF);
		gipc_ring_close(&r);
	}
	must("create", gipc_ring_create(&r, mem, size, 3, 0, 4096, GIPC_RING_MANY));
	must("join", gipc_ring_join_producer(&p, &r));
	check_death(&r, &p);
	gipc_ring_close(&r);
	return failed;
}

/* object needs no descriptor. */
static int object(const char *name)
{
	struct gipc_object o, other;
	struct gipc_ring r;
	char text[16];
	int err = gipc_object_open(&o, name);
	if (err == -ENOENT) {
		must("make", gipc_object_make(&o, gipc_ring_size(4096), 0600));
		expect("publish nothing", gipc_object_publish(&o, name), -EINVAL);
		must("create", gipc_ring_create(&r, o.mem, o.size, o.fd, 0, 4096, 0));
		must("publish", gipc_object_publish(&o, name));
		gipc_ring_close(&r);
		must("open", gipc_object_open(&other, name));
		expect("publish twice", gipc_object_publish(&other, name), -EEXIST);
		expect("remove what is open twice", gipc_object_remove(&o, name), -EBUSY);
		gipc_object_close(&other);
	} else {
		must("open", err);
		expect("remove what another process has open", gipc_object_remove(&o, name), -EBUSY);
	}
	must("open", gipc_ring_open(&r, o.mem, o.size, o.fd, 0));
	gipc_ring_close(&r);
	expect("another capacity", gipc_ring_open_or_make(&r, &other, name, 8192, 0, 0600), -EPROTOTYPE);
	expect("other flags", gipc_ring_open_or_make(&r, &other, name, 0, GIPC_RING_MANY, 0600), -EPROTOTYPE);
	expect("a name with a slash", gipc_object_open(&other, "/a/b"), -EINVAL);
	puts("ready");
	fflush(stdout);
	if (!fgets(text, sizeof text, stdin))
		return 1;
	if (!strcmp(text, "unlink\n"))
		must("unlink", gipc_object_unlink(&o, name));
	else
		must("remove", gipc_object_remove(&o, name));
	expect("open what is removed", gipc_object_open(&other, name), -ENOENT);
	gipc_object_close(&o);
	return failed;
}

/* leave opens the object and leaves it, count times. */
static int leave(const char *name, uint64_t count)
{
	struct gipc_object o;
	struct gipc_ring r;
	while (count--) {
		int err = gipc_ring_open_or_make(&r, &o, name, 0, 0, 0600);
		if (err == -EBUSY) /* it is being removed */
			continue;
		must("open", err);
		gipc_ring_close(&r);
		if ((err = gipc_object_remove_last(&o, name)) < 0)
			must("remove", err);
		gipc_object_close(&o);
	}
	return failed;
}

int main(int argc, char **argv)
{
	struct gipc_ring r;
	uint64_t size, first = argc > 2 ? strtoull(argv[2], NULL, 0) : 0, second = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
	void *mem;
	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "object") && argc == 3)
		return object(argv[2]);
	if (!strcmp(argv[1], "leave"))
		return leave(argv[2], second);
	mem = map_fd(3, &size);
	if (!strcmp(argv[1], "check"))
		return check(mem, size);
	if (!strcmp(argv[1], "create"))
		return must("create", gipc_ring_create(&r, mem, size, 3, 0, first, (unsigned)second));
	must("open", gipc_ring_open(&r, mem, size, 3, 0));
	if (!strcmp(argv[1], "produce"))
		return produce(&r, first, second);
	if (!strcmp(argv[1], "numbers"))
		return numbers(&r, first, second);
	if (!strcmp(argv[1], "hold") && argc == 3)
		return hold(&r, argv[2]);
	return consume(&r, first, !strcmp(argv[1], "verify"));
}
