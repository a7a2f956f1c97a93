// The writer leaves each line of its standard input for the reader, even if the reader
// has not yet read the line before.
#include "classic.h"

int main(void)
{
	char *mem = attach(must(shmget(1234, PAGE, IPC_CREAT | 0644), "shmget"));
	int semid = open_set();
	char line[PAGE];
	while (printf("Enter some text: "), fgets(line, sizeof line, stdin)) {
		strcpy(mem, line);
		must(sem_v(semid), "semop");
		if (is_end(line))
			break;
	}
	return shmdt(mem);
}
