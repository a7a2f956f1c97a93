/* A process that joins the ring in the memory of descriptor 3.
 *
 *   ring produce COUNT SIZE   sends COUNT messages of SIZE bytes
 *   ring consume COUNT        receives COUNT messages, prints "COUNT NANOSECONDS", from
 *                             the first message to the last
 *   ring verify               receives to the end and checks the contents of each
 *   ring create CAPACITY      lays the ring out
 *
 * Contents: message number i begins with i as a native 64-bit number, if it is that
 * long; of the rest byte j is i*31+j. "produce COUNT 0" varies the length: i*7 % 1000. */
#include "ring.h"

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fill(char *p, uint64_t i, uint64_t n)
{
	uint64_t j = 0;
	if (n >= 8) {
		memcpy(p, &i, 8);
		j = 8;
	}
	for (; j < n; j++)
		p[j] = (char)(i * 31 + j);
}

int main(int argc, char **argv)
{
	struct stat st;
	if (fstat(3, &st))
		die("fstat");
	void *mem = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	if (argc == 3 && !strcmp(argv[1], "create")) {
		ring_create(mem, st.st_size, strtoull(argv[2], NULL, 0));
		return 0;
	}
	struct ring r = ring_open(mem, st.st_size);
	if (argc == 4 && !strcmp(argv[1], "produce")) {
		uint64_t count = strtoull(argv[2], NULL, 0), size = strtoull(argv[3], NULL, 0);
		char *source = malloc(size + 8);
		memset(source, 1, size + 8);
		struct producer p = ring_join(r);
		for (uint64_t i = 0; i < count; i++) {
			uint64_t n = size ? size : i * 7 % 1000;
			char *msg = ring_claim(&p, n);
			if (size) {
				memcpy(source, &i, 8);
				memcpy(msg, source, n);
			} else {
				fill(msg, i, n);
			}
			ring_commit(&p, n);
		}
		ring_leave(&p);
		return 0;
	}
	if (argc >= 2) {
		uint64_t expected = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
		bool verify = !strcmp(argv[1], "verify");
		struct consumer c = ring_attend(r);
		uint64_t n, count = 0;
		int64_t first = 0, last;
		char *msg, copy[4096], want[4096];
		while ((msg = ring_receive(&c, &n))) {
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
		ring_release(&c);
		printf("%llu %lld\n", (unsigned long long)count, (long long)(last - first));
		return 0;
	}
	return 2;
}
