// The functions on a semaphore set of one that reader.c and writer.c call.
int init_sem(int semid, int value);
int sem_p(int semid);
int sem_v(int semid);
int del_sem(int semid);
