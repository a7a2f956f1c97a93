/* A viewer in C. It receives the frames of frames.py until that program ends.
 *
 *   gcc -Iinclude examples/languages/frames.c -o /tmp/viewer && /tmp/viewer
 */
#include "gipc_broadcast.h"

#define NAME "/gipc-example-viewers"
#define CAPACITY (1 << 16)

int main(void)
{
	struct gipc_object object;
	struct gipc_broadcast frames;
	struct gipc_broadcast_reader in;
	char frame[CAPACITY / 2];
	uint64_t n;
	int err = gipc_broadcast_open_or_make(&frames, &object, NAME, CAPACITY, 0600);

	if (!err)
		err = gipc_broadcast_subscribe(&in, &frames, GIPC_BROADCAST_LATEST, 0, "viewer in C");
	if (err < 0) {
		fprintf(stderr, "%s: %s\n", NAME, strerror(-err));
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	while ((err = gipc_broadcast_read(&in, frame, sizeof frame, &n, -1)) > 0)
		printf("C: a frame of %d bytes, the last is %d\n", (int)n, n ? frame[n - 1] : 0);
	gipc_broadcast_leave_reader(&in);
	gipc_broadcast_close(&frames);
	(void)gipc_object_remove_last(&object, NAME);
	gipc_object_close(&object);
	return err < 0;
}
