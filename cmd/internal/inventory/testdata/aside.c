// aside HOW FILE: holds FILE open where no descriptor of the process shows it. HOW is
// "socket" (in an unreceived message) or "thread" (in a thread's own descriptor table).
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		fail(path);
	return fd;
}

static void stay(void)
{
	puts("holds it");
	fflush(stdout);
	getchar();
	exit(0);
}

static void *hold(void *path)
{
	if (unshare(CLONE_FILES))
		fail("unshare");
	open_file(path);
	stay();
	return NULL;
}

static void send_file(int fd)
{
	int ends[2];
	char byte = 0;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof fd)];
	} control = {0};
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) || sendmsg(ends[0], &message, 0) != 1 || close(fd))
		fail("send");
}

int main(int argc, char **argv)
{
	pthread_t thread;
	if (argc != 3)
		return 2;
	if (strcmp(argv[1], "socket") == 0) {
		send_file(open_file(argv[2]));
		stay();
	}
	if (pthread_create(&thread, NULL, hold, argv[2]))
		fail("pthread_create");
	pause();
}
