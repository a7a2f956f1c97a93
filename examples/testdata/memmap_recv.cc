// As printed in the second document. Added: the includes and the names, which the document gives once for both.
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
#define SHM_NAME "/memmap"
#define SHM_NAME_SEM "/memmap_sem"

//process 2
int main()
{
    int fd;
    sem_t *sem;
 
    fd = shm_open(SHM_NAME, O_RDWR, 0);
    sem = sem_open(SHM_NAME_SEM, 0);
 
    if (fd < 0 || sem == SEM_FAILED)
    {
        cout<<"shm_open or sem_open failed...";
        cout<<strerror(errno)<<endl;
        return -1;
    }
 
    struct stat fileStat;
    fstat(fd, &fileStat);
 
    char *memPtr;
    memPtr = (char *)mmap(NULL, fileStat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
 
    sem_wait(sem);
 
    cout<<"process:"<<getpid()<<" recv:"<<memPtr<<endl;
 
    sem_close(sem);
 
    return 0;
}
