// Client puts each line of its standard input, with its pid and the time, into a slot
// of the logger's memory.
#include "spool.h"

#include <time.h>

static sem_t *find(const char *name)
{
	sem_t *sem = sem_open(name, 0);
	must(sem != SEM_FAILED, name);
	return sem;
}

int main(void)
{
	sem_t *mutex = find(mutex_name), *free_slots = find(free_name), *waiting = find(waiting_name);
	int fd = shm_open(spool_name, O_RDWR, 0);
	must(fd >= 0, spool_name);
	struct spool *spool = map_spool(fd);

	char line[200], date[32];
	while (printf("Please type a message: "), fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		time_t now = time(NULL);
		ctime_r(&now, date);
		date[strcspn(date, "\n")] = 0;

		must(sem_wait(free_slots) == 0, free_name);
		must(sem_wait(mutex) == 0, mutex_name);
		snprintf(spool->slot[spool->fill], SLOT_SIZE, "%d: %s %s\n", getpid(), date, line);
		spool->fill = (spool->fill + 1) % SLOTS;
		must(sem_post(mutex) == 0, mutex_name);
		must(sem_post(waiting) == 0, waiting_name);
	}
	return 0;
}
