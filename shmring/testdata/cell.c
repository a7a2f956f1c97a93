/* A process that opens the cell in the memory of descriptor 3, or the lock at the beginning
 * of that memory. The values of the cell are pages of 512 words; the first word determines
 * the others.
 *
 *   cell create          lays the cell out
 *   cell storer          stores until it is killed; word 0 of the value never decreases
 *   cell watch COUNT     waits for COUNT newer versions and checks them
 *   cell survive         calls everything, whatever is in the memory, until killed
 *   cell check           checks what the functions return in all cases
 *   cell count COUNT     adds 1 to the word at 64, COUNT times, with the lock held
 *   cell hold            acquires the lock, says "ready", and keeps it until it is killed */
#include "gipc_cell.h"
#include "peer.h"
#include <sys/wait.h>

#define TYPE "{Words@0 [512]uint64;}"

static uint64_t page[512];

static void fill_page(uint64_t n)
{
	uint64_t i;
	for (i = 0; i < 512; i++)
		page[i] = n + i;
}

static void check_page(void)
{
	uint64_t i;
	for (i = 1; i < 512; i++)
		if (page[i] != page[0] + i && (page[0] || page[i]))
			die("a torn value", -EIO);
}

static void storer(struct gipc_cell *c)
{
	uint64_t version, after;
	puts("ready");
	fflush(stdout);
	for (;;) {
		must("lock", gipc_cell_lock(c, -1));
		must("load", gipc_cell_load(c, page, &version));
		check_page();
		fill_page(page[0] + 1000);
		must("replace", gipc_cell_replace(c, page, &after));
		must("unlock", gipc_cell_unlock(c));
		if (after != version + 1)
			die("the version", -EIO);
	}
}

static int watch(struct gipc_cell *c, uint64_t count)
{
	uint64_t version = 0, before = 0;
	must("load", gipc_cell_load(c, page, &version));
	puts("ready");
	fflush(stdout);
	while (count--) {
		before = page[0];
		must("wait", gipc_cell_wait(c, page, &version, -1));
		check_page();
		if (page[0] < before)
			die("an older value", -EIO);
	}
	return 0;
}

/* survive ignores what the calls return. Each call has to end in time, and must touch
 * nothing outside the memory. */
static void survive(void *mem, uint64_t size)
{
	struct gipc_cell c;
	uint64_t version;
	int64_t began;
	int i, j;
	for (i = 0;; i++) {
		began = now();
		if (i == 1) {
			puts("ready");
			fflush(stdout);
		}
		if (gipc_cell_open(&c, mem, size, 3, 0, sizeof page, TYPE) < 0)
			continue;
		for (j = 0; j < 50; j++) {
			version = 0;
			(void)gipc_cell_load(&c, page, &version);
			(void)gipc_cell_store(&c, page, &version, 1000000);
			(void)gipc_cell_wait(&c, page, &version, 1000000);
		}
		gipc_cell_forget(&c);
		if (now() - began > 10000000000LL)
			die("a call", -ETIMEDOUT);
	}
}

/* check_deaths forks a child that dies with the lock. */
static void check_deaths(struct gipc_cell *c, void *mem, uint64_t size)
{
	struct gipc_cell theirs;
	pid_t child = fork();
	if (!child) {
		gipc_cell_forget(c);
		must("child: open", gipc_cell_open(&theirs, mem, size, 3, 0, sizeof page, TYPE));
		must("child: lock", gipc_cell_lock(&theirs, 0));
		_exit(0);
	}
	waitpid(child, NULL, 0);
	must("store after a death", gipc_cell_store(c, page, NULL, -1));
	must("store then", gipc_cell_store(c, page, NULL, 0));
}

static int check(void *mem, uint64_t size)
{
	struct gipc_cell c, again;
	uint64_t version = 7;
	expect("open of nothing", gipc_cell_open(&c, mem, size, 3, 0, sizeof page, TYPE), -ENODATA);
	expect("create of too much", gipc_cell_create(&c, mem, size, 3, 0, 2 * size, TYPE), -ERANGE);
	must("create", gipc_cell_create(&c, mem, size, 3, 0, sizeof page, TYPE));
	expect("another type", gipc_cell_open(&again, mem, size, 3, 0, sizeof page, "{Words@0 [512]int64;}"), -EPROTOTYPE);
	expect("bytes", gipc_cell_open(&again, mem, size, 3, 0, sizeof page, NULL), -EPROTOTYPE);
	expect("another size", gipc_cell_open(&again, mem, size, 3, 0, 8, TYPE), -EPROTOTYPE);
	must("open", gipc_cell_open(&again, mem, size, 3, 0, sizeof page, TYPE));
	page[1] = 5;
	must("load", gipc_cell_load(&c, page, &version));
	expect("the first version", (int)version, 0);
	expect("the first value", (int)page[1], 0);
	expect("wait", gipc_cell_wait(&c, page, &version, 0), -ETIMEDOUT);
	expect("wait for long", gipc_cell_wait(&c, page, &version, 200000000), -ETIMEDOUT);
	fill_page(1);
	must("store", gipc_cell_store(&again, page, &version, 0));
	expect("the version", (int)version, 1);
	version = 0;
	must("wait", gipc_cell_wait(&c, page, &version, -1));
	expect("the version then", (int)version, 1);
	expect("replace", gipc_cell_replace(&c, page, NULL), -EPERM);
	must("lock", gipc_cell_lock(&c, -1));
	expect("lock twice", gipc_cell_lock(&c, -1), -EDEADLK);
	expect("close", gipc_cell_close(&c), -EBUSY);
	expect("store while it is locked", gipc_cell_store(&again, page, NULL, 0), -ETIMEDOUT);
	expect("store, waiting", gipc_cell_store(&again, page, NULL, 250000000), -ETIMEDOUT);
	must("unlock", gipc_cell_unlock(&c));
	expect("unlock twice", gipc_cell_unlock(&c), -EPERM);
	must("close", gipc_cell_close(&again));
	expect("load after closing", gipc_cell_load(&again, page, &version), -EBADF);
	check_deaths(&c, mem, size);
	must("close", gipc_cell_close(&c));
	must("create of bytes", gipc_cell_create(&c, mem, size, 3, 0, 10, NULL));
	must("close", gipc_cell_close(&c));
	return failed;
}

static int count_up(uint64_t *mem, uint64_t count)
{
	struct gipc_lock l;
	must("open", gipc_lock_open(&l, mem, 3, 0));
	while (count--) {
		if (must("acquire", gipc_lock_acquire(&l, -1)))
			must("mark", gipc_lock_mark_consistent(&l));
		mem[8]++;
		must("release", gipc_lock_release(&l));
	}
	return must("close", gipc_lock_close(&l));
}

static int hold(void *mem)
{
	struct gipc_lock l;
	must("open", gipc_lock_open(&l, mem, 3, 0));
	must("acquire", gipc_lock_acquire(&l, -1));
	puts("ready");
	fflush(stdout);
	return getchar() == EOF ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct gipc_cell c;
	uint64_t size, number = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	void *mem = map_fd(3, &size);
	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "check"))
		return check(mem, size);
	if (!strcmp(argv[1], "survive"))
		survive(mem, size);
	if (!strcmp(argv[1], "count"))
		return count_up((uint64_t *)mem, number);
	if (!strcmp(argv[1], "hold"))
		return hold(mem);
	if (!strcmp(argv[1], "create"))
		return must("create", gipc_cell_create(&c, mem, size, 3, 0, sizeof page, TYPE));
	must("open", gipc_cell_open(&c, mem, size, 3, 0, sizeof page, TYPE));
	if (!strcmp(argv[1], "storer"))
		storer(&c);
	return watch(&c, number);
}
