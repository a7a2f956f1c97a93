/* The worker in C: it takes jobs from the ring, and sends results to a message queue.
 *
 *   gcc -Iinclude examples/jobs/workers/worker.c -o /tmp/worker && /tmp/worker [MILLISECONDS]
 *
 * Each job takes MILLISECONDS, 0 if left out. */
#include "gipc_ring.h"
#include <sys/mman.h>
#include <sys/msg.h>

static int fail(const char *what, int err)
{
	fprintf(stderr, "worker: %s: %s\n", what, strerror(err));
	return 1;
}

int main(int argc, char **argv)
{
	struct {
		long type;
		char text[64];
	} result = { 1, "" };
	struct gipc_ring ring;
	struct gipc_ring_consumer in;
	const void *msg;
	uint64_t n;
	struct stat st;
	void *mem;
	int err, results, fd = shm_open("/gipc-example-jobs", O_RDWR, 0);
	long pause = argc > 1 ? atol(argv[1]) : 0;
	struct timespec work = { pause / 1000, pause % 1000 * 1000000 };

	if (fd < 0 || (results = msgget(0x6a6f6274, 0)) < 0)
		return fail("start the server first", errno);
	if (fstat(fd, &st) < 0)
		return fail("fstat", errno);
	mem = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return fail("mmap", errno);
	if ((err = gipc_ring_open(&ring, mem, (uint64_t)st.st_size, fd, 0)) < 0)
		return fail("the ring", -err);
	if ((err = gipc_ring_join_consumer(&in, &ring)) < 0)
		return fail("another worker in C is running", -err);

	/* Each receive releases the previous job. If this process is killed, the next worker
	 * receives the unreleased job again. */
	while ((err = gipc_ring_receive(&in, &msg, &n, -1)) > 0) {
		char text[32] = "";
		int length;
		long job;
		if (n >= sizeof text)
			return fail("job", EMSGSIZE);
		memcpy(text, msg, n);
		job = atol(text);
		nanosleep(&work, NULL);
		length = snprintf(result.text, sizeof result.text, "%ld %ld C", job, job * job);
		if (msgsnd(results, &result, (size_t)length, 0) < 0)
			return errno == EIDRM || errno == EINVAL ? 0 : fail("msgsnd", errno);
	}
	if (err < 0 && err != -EOWNERDEAD)
		return fail("receive", -err);
	gipc_ring_leave_consumer(&in);
	gipc_ring_close(&ring);
	return 0;
}
