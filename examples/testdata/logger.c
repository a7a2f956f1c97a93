// Logger appends to a file the messages that its clients put into shared memory. It never
// ends by itself, and leaves its objects behind when it is killed.
#include "spool.h"

#ifndef LOG
#define LOG "/tmp/example.log"
#endif

static sem_t *make(const char *name, unsigned value)
{
	sem_t *sem = sem_open(name, O_CREAT, 0660, value);
	must(sem != SEM_FAILED, name);
	return sem;
}

int main(void)
{
	int log = open(LOG, O_WRONLY | O_CREAT | O_APPEND | O_SYNC, 0666);
	must(log >= 0, LOG);
	sem_t *mutex = make(mutex_name, 0); // no client may begin yet

	int fd = shm_open(spool_name, O_RDWR | O_CREAT, 0660);
	must(fd >= 0, spool_name);
	must(ftruncate(fd, sizeof(struct spool)) == 0, "ftruncate");
	struct spool *spool = map_spool(fd);
	spool->fill = spool->log = 0;

	sem_t *free_slots = make(free_name, SLOTS);
	sem_t *waiting = make(waiting_name, 0);
	must(sem_post(mutex) == 0, mutex_name); // everything is ready: clients may begin

	for (;;) {
		char text[SLOT_SIZE];
		must(sem_wait(waiting) == 0, waiting_name);
		memcpy(text, spool->slot[spool->log], SLOT_SIZE);
		spool->log = (spool->log + 1) % SLOTS;
		must(sem_post(free_slots) == 0, free_name);
		ssize_t size = strnlen(text, SLOT_SIZE);
		must(write(log, text, size) == size, "write");
	}
}
