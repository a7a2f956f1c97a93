// Functions on a set of one semaphore. reader.c and writer.c call them. The textbook's own
// programs also call them, but the textbook does not print them.
int init_sem(int semid, int value);
int sem_p(int semid);
int sem_v(int semid);
int del_sem(int semid);
