// The functions on a set of one semaphore that reader.c and writer.c call; so do the
// textbook's own programs, which leave them out.
int init_sem(int semid, int value);
int sem_p(int semid);
int sem_v(int semid);
int del_sem(int semid);
