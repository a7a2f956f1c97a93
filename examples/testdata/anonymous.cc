// As printed in the second document. Added: the includes.
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

int main(int argc, char **argv)
{
    int *memPtr;
    memPtr = (int *) mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, 0, 0);
    if (memPtr == MAP_FAILED)	return -1;
    *memPtr = 0;
    if (fork() == 0)
    {
        *memPtr = 1;
        cout<<"child:set memory "<<*memPtr<<endl;
        exit(0);
    }
    sleep(1);
    cout<<"parent:memory value "<<*memPtr<<endl;
    return 0;
}
