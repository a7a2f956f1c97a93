/* A process that joins the broadcast in the memory of descriptor 3.
 *
 *   broadcast create CAPACITY    lays the broadcast out
 *   broadcast write COUNT        sends COUNT messages
 *   broadcast read POLICY        receives until the end, checks each message, prints "RECEIVED
 *                                LOST"
 *   broadcast broadcaster        sends until it is killed; descriptor 4 is the ledger
 *   broadcast listener POLICY    receives until it is killed; descriptor 4 is the ledger
 *   broadcast subscriber POLICY LABEL   subscribes, says "ready", and receives nothing
 *   broadcast survive            calls everything, whatever is in the memory, until killed
 *   broadcast check              checks what the functions return in all cases
 *
 * Message n has 8 + n*7 % 1000 bytes: see ring.c. */
#include "gipc_broadcast.h"
#include "peer.h"
#include <sys/wait.h>

static uint64_t length_of(uint64_t n)
{
	return 8 + n * 7 % 1000;
}

/* send_next sends the next message, in one of two ways. */
static int send_next(struct gipc_broadcast_writer *w, int64_t timeout)
{
	char text[1100];
	void *msg;
	uint64_t i = w->next, n = length_of(i);
	int err;
	if (i % 3) {
		fill(text, i, n);
		return gipc_broadcast_send(w, text, n, timeout);
	}
	if ((err = gipc_broadcast_claim(w, n + 100, &msg, timeout)) < 0)
		return err;
	fill((char *)msg, i, n);
	return gipc_broadcast_commit(w, n);
}

/* receive_next receives a message, in one of two ways, and checks it. */
static int receive_next(struct gipc_broadcast_reader *r, int64_t timeout)
{
	char got[2048], want[1100];
	const void *msg;
	uint64_t n = 0, number;
	int result;
	if (r->next % 2) {
		result = gipc_broadcast_read(r, got, sizeof got, &n, timeout);
		number = r->next - 1;
	} else {
		if ((result = gipc_broadcast_receive(r, &msg, &n, timeout)) <= 0)
			return result;
		memcpy(got, msg, (size_t)(n < sizeof got ? n : sizeof got));
		number = r->next;
		if ((result = gipc_broadcast_release(r)) < 0)
			return result;
		result = 1;
	}
	if (result <= 0)
		return result;
	fill(want, number, length_of(number));
	if (n != length_of(number) || memcmp(got, want, (size_t)n)) {
		fprintf(stderr, "message %llu, of %llu bytes, is wrong\n", (unsigned long long)number, (unsigned long long)n);
		exit(1);
	}
	return 1;
}

static int write_all(const struct gipc_broadcast *b, uint64_t count)
{
	struct gipc_broadcast_writer w;
	must("join", gipc_broadcast_join_writer(&w, b));
	while (count--)
		must("send", send_next(&w, -1));
	return must("leave", gipc_broadcast_leave_writer(&w));
}

static int read_all(const struct gipc_broadcast *b, unsigned policy)
{
	struct gipc_broadcast_reader r;
	uint64_t received = 0;
	int got;
	must("subscribe", gipc_broadcast_subscribe(&r, b, policy, 0, "peer"));
	puts("ready");
	fflush(stdout);
	while ((got = receive_next(&r, -1)) > 0 || got == -ENOBUFS)
		received += got > 0;
	must("receive", got);
	printf("%llu %llu\n", (unsigned long long)received, (unsigned long long)gipc_broadcast_lost(&r));
	return must("leave", gipc_broadcast_leave_reader(&r));
}

/* broadcaster sends until it is killed. It records the number of the next message before it
 * sends one, in word 1, and afterwards, in word 0. */
static void broadcaster(const struct gipc_broadcast *b, uint64_t *book)
{
	struct gipc_broadcast_writer w;
	must("join", gipc_broadcast_join_writer(&w, b));
	if (w.next < GIPC__LOAD(&book[0]) || w.next > GIPC__LOAD(&book[1]))
		die("what was sent", -ERANGE);
	puts("ready");
	fflush(stdout);
	for (;;) {
		GIPC__STORE(&book[1], w.next + 1);
		must("send", send_next(&w, -1));
		GIPC__STORE(&book[0], w.next);
	}
}

/* listener receives until it is killed. It counts the messages in word 2. */
static void listener(const struct gipc_broadcast *b, unsigned policy, uint64_t *book)
{
	struct gipc_broadcast_reader r;
	int got;
	must("subscribe", gipc_broadcast_subscribe(&r, b, policy, (unsigned)getpid() % 2, "doomed"));
	puts("ready");
	fflush(stdout);
	for (;;) {
		got = receive_next(&r, -1);
		if (got != -EOWNERDEAD && got != -ENOBUFS)
			must("receive", got);
		if (policy == GIPC_BROADCAST_BLOCK && gipc_broadcast_lost(&r))
			die("lost messages", -ENOBUFS);
		GIPC__ADD(&book[2], 1);
	}
}

static int subscriber(const struct gipc_broadcast *b, unsigned policy, const char *label)
{
	struct gipc_broadcast_reader r;
	must("subscribe", gipc_broadcast_subscribe(&r, b, policy, 0, label));
	puts("ready");
	fflush(stdout);
	return getchar() == EOF ? 0 : 1;
}

/* survive ignores what the calls return. Each call has to end in time, and must touch
 * nothing outside the memory. */
static void survive(void *mem, uint64_t size)
{
	struct gipc_broadcast b;
	struct gipc_broadcast_writer w;
	struct gipc_broadcast_reader r[2];
	struct gipc_broadcast_subscriber s;
	char text[8192] = "";
	const void *msg;
	int64_t began;
	uint64_t n;
	int i, j;
	for (i = 0;; i++) {
		began = now();
		if (gipc_broadcast_open(&b, mem, size, 3, 0) < 0)
			continue;
		if (!gipc_broadcast_join_writer(&w, &b)) {
			for (j = 0; j < 50; j++)
				if (gipc_broadcast_send(&w, text, (uint64_t)j * 160, 1000000) < 0)
					(void)gipc_broadcast_slowest(&w, &s);
		}
		for (j = 0; j < 2; j++)
			if (gipc_broadcast_subscribe(&r[j], &b, (unsigned)j + 1, (unsigned)i % 2, "mad") < 0)
				r[j].lifeline = -1;
		for (j = 0; j < 100; j++) {
			if (gipc_broadcast_receive(&r[j % 2], &msg, &n, 1000000) > 0) {
				memcpy(text, msg, (size_t)(n < sizeof text ? n : sizeof text));
				(void)gipc_broadcast_release(&r[j % 2]);
			}
			(void)gipc_broadcast_read(&r[j % 2], text, sizeof text, &n, 0);
		}
		(void)gipc_broadcast_leave_reader(&r[0]);
		(void)gipc_broadcast_leave_reader(&r[1]);
		(void)gipc_broadcast_leave_writer(&w);
		gipc_broadcast_close(&b);
		if (now() - began > 10000000000LL)
			die("a call", -ETIMEDOUT);
		if (i == 0) {
			puts("ready");
			fflush(stdout);
		}
	}
}

/* check_deaths forks children that die with a role. */
static void check_deaths(const struct gipc_broadcast *b)
{
	struct gipc_broadcast_writer w;
	struct gipc_broadcast_reader r, theirs;
	pid_t child;
	must("subscribe", gipc_broadcast_subscribe(&r, b, GIPC_BROADCAST_BLOCK, 0, "alive"));
	if (!(child = fork())) {
		gipc_broadcast_forget_reader(&r);
		must("child: join", gipc_broadcast_join_writer(&w, b));
		must("child: send", send_next(&w, 0));
		_exit(0);
	}
	waitpid(child, NULL, 0);
	expect("receive what a dead one sent", receive_next(&r, -1), 1);
	expect("receive from a dead one", receive_next(&r, -1), -EOWNERDEAD);
	expect("receive then", receive_next(&r, 1000000), -ETIMEDOUT);
	must("join after a death", gipc_broadcast_join_writer(&w, b));
	if (!(child = fork())) {
		gipc_broadcast_forget_reader(&r);
		gipc_broadcast_forget_writer(&w);
		must("child: subscribe", gipc_broadcast_subscribe(&theirs, b, GIPC_BROADCAST_BLOCK, 0, "dead"));
		_exit(0);
	}
	waitpid(child, NULL, 0);
	must("leave", gipc_broadcast_leave_reader(&r));
	for (child = 0; child < 100; child++)
		must("send past a dead reader", send_next(&w, -1));
	must("leave", gipc_broadcast_leave_writer(&w));
}

static void check_reader(const struct gipc_broadcast *b, struct gipc_broadcast_writer *w)
{
	struct gipc_broadcast_reader r, latest;
	struct gipc_broadcast_subscriber s;
	char text[4096];
	uint64_t n, sent = w->next;
	int err, i;
	expect("policy 3", gipc_broadcast_subscribe(&r, b, 3, 0, ""), -EINVAL);
	expect("flags", gipc_broadcast_subscribe(&r, b, GIPC_BROADCAST_BLOCK, 2, ""), -EINVAL);
	expect("a long label", gipc_broadcast_subscribe(&r, b, 1, 0, "123456789012345678901234567890123"), -EINVAL);
	must("subscribe", gipc_broadcast_subscribe(&r, b, GIPC_BROADCAST_BLOCK, 0, "slow"));
	must("subscribe", gipc_broadcast_subscribe(&latest, b, GIPC_BROADCAST_LATEST, 0, "latest"));
	expect("receive of nothing", receive_next(&r, 0), -ETIMEDOUT);
	expect("receive of nothing, waiting", receive_next(&r, 200000000), -ETIMEDOUT);
	expect("release of nothing", gipc_broadcast_release(&r), -EINVAL);
	while ((err = send_next(w, 0)) == 0)
		;
	expect("send to a slow reader", err, -ETIMEDOUT);
	expect("the slowest", gipc_broadcast_slowest(w, &s), 1);
	if (strcmp(s.label, "slow") || s.pid != (uint32_t)getpid() || s.behind != w->next - sent || s.policy != 1)
		expect("who is slow", 0, 1);
	expect("read into nothing", gipc_broadcast_read(&r, text, 0, &n, 0), -EMSGSIZE);
	if (n != length_of(r.next))
		expect("length of the message", (int)n, (int)length_of(r.next));
	for (i = 0; i < 100; i++) {
		expect("receive", receive_next(&r, 0), 1);
		err = send_next(w, 0);
		if (err != -ETIMEDOUT)
			must("send", err);
	}
	while ((err = receive_next(&r, 0)) > 0)
		;
	expect("receive of all", err, -ETIMEDOUT);
	while (receive_next(&latest, 0) > 0)
		;
	if (!gipc_broadcast_lost(&latest) || latest.next != w->next)
		expect("lost messages", 0, 1);
	must("leave", gipc_broadcast_leave_writer(w));
	expect("the end", receive_next(&r, -1), 0);
	expect("the end of latest", receive_next(&latest, -1), 0);
	expect("after the end", receive_next(&r, 0), -ETIMEDOUT);
	must("leave", gipc_broadcast_leave_reader(&r));
	must("leave", gipc_broadcast_leave_reader(&latest));
	expect("receive after leaving", gipc_broadcast_read(&r, text, sizeof text, &n, 0), -EBADF);
}

static int check(void *mem, uint64_t size)
{
	struct gipc_broadcast b, again;
	struct gipc_broadcast_writer w, other;
	void *msg;
	expect("open of nothing", gipc_broadcast_open(&b, mem, size, 3, 0), -ENODATA);
	expect("create of 5000", gipc_broadcast_create(&b, mem, size, 3, 0, 5000), -EINVAL);
	expect("create of too much", gipc_broadcast_create(&b, mem, size, 3, 0, 1 << 20), -ERANGE);
	must("create", gipc_broadcast_create(&b, mem, size, 3, 0, 4096));
	expect("open of another size", gipc_broadcast_open(&again, mem, size - 4096, 3, 0), -ERANGE);
	expect("open without the file", gipc_broadcast_open(&again, mem, size, -1, 0), -EBADF);
	must("open", gipc_broadcast_open(&again, mem, size, 3, 0));
	must("join", gipc_broadcast_join_writer(&w, &b));
	expect("a second writer", gipc_broadcast_join_writer(&other, &again), -EBUSY);
	expect("commit of nothing", gipc_broadcast_commit(&w, 0), -EINVAL);
	expect("abort of nothing", gipc_broadcast_abort(&w), -EINVAL);
	expect("claim of too much", gipc_broadcast_claim(&w, 2049, &msg, 0), -EMSGSIZE);
	must("claim", gipc_broadcast_claim(&w, 2048, &msg, 0));
	expect("a second claim", gipc_broadcast_claim(&w, 1, &msg, 0), -EALREADY);
	expect("commit of too much", gipc_broadcast_commit(&w, 2049), -EINVAL);
	must("abort", gipc_broadcast_abort(&w));
	check_reader(&again, &w);
	expect("send after leaving", send_next(&w, 0), -EBADF);
	gipc_broadcast_close(&again);
	expect("join of what is closed", gipc_broadcast_join_writer(&other, &again), -EBADF);
	check_deaths(&b);
	gipc_broadcast_close(&b);
	return failed;
}

int main(int argc, char **argv)
{
	struct gipc_broadcast b;
	uint64_t size, unused, number = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	void *mem = map_fd(3, &size);
	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "check"))
		return check(mem, size);
	if (!strcmp(argv[1], "survive"))
		survive(mem, size);
	if (!strcmp(argv[1], "create"))
		return must("create", gipc_broadcast_create(&b, mem, size, 3, 0, number));
	must("open", gipc_broadcast_open(&b, mem, size, 3, 0));
	if (!strcmp(argv[1], "write"))
		return write_all(&b, number);
	if (!strcmp(argv[1], "read"))
		return read_all(&b, (unsigned)number);
	if (!strcmp(argv[1], "broadcaster"))
		broadcaster(&b, (uint64_t *)map_fd(4, &unused));
	if (!strcmp(argv[1], "listener"))
		listener(&b, (unsigned)number, (uint64_t *)map_fd(4, &unused));
	return argc == 4 ? subscriber(&b, (unsigned)number, argv[3]) : 2;
}
