package programs_test

// pool counts in shared memory, in processes of a Pool that end after four jobs each.
const pool = `
import multiprocessing, os, sys
from multiprocessing import shared_memory

def start(name, guard):
    global memory, lock
    memory, lock = shared_memory.SharedMemory(name), guard

def count(n):
    with lock:
        memory.buf[0] = (memory.buf[0] + 1) % 251
        return n, os.getpid()

if __name__ == "__main__":
    # What forks beside threads, as Pool does by default, may hang.
    multiprocessing.set_start_method("forkserver")
    memory = shared_memory.SharedMemory(create=True, size=10000)
    with multiprocessing.Pool(2, start, (memory.name, multiprocessing.Lock()), maxtasksperchild=4) as workers:
        for line in sys.stdin:
            print(workers.apply(count, (line.strip(),))[0], flush=True)
`

// pythonPool is a Python program with a multiprocessing.Pool.
func pythonPool(r *room) service {
	d := r.startDialogue(r.command("games", "python3", r.write("pool.py", pool)))
	request := func() error { return d.ask("job", "job") }
	return service{
		request: request,
		recycle: func() {
			for range 12 {
				r.check(request())
			}
		},
	}
}
