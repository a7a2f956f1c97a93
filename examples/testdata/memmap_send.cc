// As printed in the second document. Added: the includes.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
using namespace std;

//process 1
#define SHM_NAME "/memmap"
#define SHM_NAME_SEM "/memmap_sem" 
char sharedMem[10];
int main()
{
    int fd;
    sem_t *sem;
 
    fd = shm_open(SHM_NAME, O_RDWR | O_CREAT, 0666);
    sem = sem_open(SHM_NAME_SEM, O_CREAT, 0666, 0);
 
    if (fd < 0 || sem == SEM_FAILED)
    {
        cout<<"shm_open or sem_open failed...";
        cout<<strerror(errno)<<endl;
        return -1;
    }
 
    ftruncate(fd, sizeof(sharedMem));
 
    char *memPtr;
    memPtr = (char *)mmap(NULL, sizeof(sharedMem), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
 
    char msg[] = "yuki...";
 
    memmove(memPtr, msg, sizeof(msg));
    cout<<"process:"<<getpid()<<" send:"<<memPtr<<endl;
 
    sem_post(sem);
    sem_close(sem);
 
    return 0;
}
 
