/* As printed in the fifth document. */
// Sender process
#include <stdio.h>
#include <assert.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/types.h>
#include <unistd.h>
#include <string.h>
#define PAGESIZE 4096

int main() {
	int shmid = shmget((key_t) 123, PAGESIZE, 0664|IPC_CREAT);
	assert(shmid != -1);
	
	char * p = (char*)shmat(shmid, NULL, 0);
	assert(p != (char*)-1);
	while (1) {
		printf("input: ");
		fgets(p, PAGESIZE-1, stdin);
		if (strncmp(p, "end", 3) == 0) break;
	}
	shmdt(p);
	return 0;
}
