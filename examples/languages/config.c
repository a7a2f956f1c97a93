/* A program in C that waits for each change of its configuration. config.py stores it.
 *
 *   gcc -Iinclude examples/languages/config.c -o /tmp/config && /tmp/config
 */
#include "gipc_cell.h"

/* In Go: type Config struct { Rate float64; Limit int64 }. */
struct config {
	double Rate;
	int64_t Limit;
};

int main(void)
{
	struct gipc_object object;
	struct gipc_cell cell;
	struct config config;
	uint64_t version = 0;
	int err = gipc_object_open(&object, "/gipc-example-config");

	if (!err)
		err = gipc_cell_open(&cell, object.mem, object.size, object.fd, 0, sizeof config,
				     "{Rate@0 float64;Limit@8 int64;}");
	if (err < 0) {
		fprintf(stderr, "run config.py first: %s\n", strerror(-err));
		return 1;
	}
	while ((err = gipc_cell_wait(&cell, &config, &version, -1)) == 0) {
		printf("rate %g, limit %lld\n", config.Rate, (long long)config.Limit);
		fflush(stdout);
		if (config.Limit == 0)
			break;
	}
	gipc_cell_close(&cell);
	gipc_object_close(&object);
	return err < 0;
}
