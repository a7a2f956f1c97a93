// As printed in the second document. Added: the includes and PATH_NAME.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
using namespace std;
#define PATH_NAME "/tmp/gipc-number"

//process 1
int main()
{
    int *memPtr;
    int fd;
    fd = open(PATH_NAME, O_RDWR | O_CREAT, 0666);
    if (fd < 0)
    {
        return -1;
    }
 
    ftruncate(fd, sizeof(int));
    memPtr = (int *)mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
 
    if (memPtr == MAP_FAILED)
    {
        cout<<"mmap failed..."<<strerror(errno)<<endl;
        return -1;
    }
 
    *memPtr = 111;
	cout<<"process:"<<getpid()<<" send:"<<*memPtr<<endl;
 
    return 0;
}
 
