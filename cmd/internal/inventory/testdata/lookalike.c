/* lookalike DIR INODE: mounts a file system on DIR and maps a deleted file in its root that
 * has the name of a segment without a key and the given inode number. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct stat st;
	char name[64], byte;
	if (argc != 3 || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", argv[1], "tmpfs", 0, NULL) || chdir(argv[1]))
		return 3;
	for (int i = 0; i < 100; i++) {
		int fd = open("SYSV00000000", O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || ftruncate(fd, 4096) || fstat(fd, &st))
			return 1;
		if ((long)st.st_ino == atol(argv[2])) {
			if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ||
			    unlink("SYSV00000000") || chdir("/") || umount2(argv[1], MNT_DETACH))
				return 1;
			puts("ready");
			fflush(stdout);
			return read(0, &byte, 1) != 0;
		}
		snprintf(name, sizeof name, "other%d", i);
		if (rename("SYSV00000000", name))
			return 1;
	}
	return 1;
}
