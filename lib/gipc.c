/* libgipc: the functions of the headers in include/, for languages that do not compile C.
 * C and C++ programs do not need it. */
#define GIPC_API __attribute__((visibility("default")))
#include "gipc_broadcast.h"
#include "gipc_cell.h"
#include "gipc_ring.h"

/* gipc_sizeof returns the size of a structure, for callers that allocate it without knowing
 * its members: "ring_producer" stands for struct gipc_ring_producer. It returns 0 for an
 * unknown name. Align the memory to 8 bytes. */
GIPC_API size_t gipc_sizeof(const char *name)
{
	static const struct {
		const char *name;
		size_t size;
	} all[] = {
		{ "object", sizeof(struct gipc_object) },
		{ "ring", sizeof(struct gipc_ring) },
		{ "ring_producer", sizeof(struct gipc_ring_producer) },
		{ "ring_consumer", sizeof(struct gipc_ring_consumer) },
		{ "broadcast", sizeof(struct gipc_broadcast) },
		{ "broadcast_writer", sizeof(struct gipc_broadcast_writer) },
		{ "broadcast_reader", sizeof(struct gipc_broadcast_reader) },
		{ "broadcast_subscriber", sizeof(struct gipc_broadcast_subscriber) },
		{ "cell", sizeof(struct gipc_cell) },
		{ "lock", sizeof(struct gipc_lock) },
	};
	size_t i;
	for (i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i].name, name))
			return all[i].size;
	return 0;
}
