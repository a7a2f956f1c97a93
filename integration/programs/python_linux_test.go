package programs_test

// pool counts in shared memory, in Pool processes that end after four jobs each.
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
	d := r.startDialogue(r.command(r.user, "python3", r.write("pool.py", pool)))
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

const lengths = `
import sys
from joblib import Parallel, delayed

with Parallel(n_jobs=2) as workers:
    for line in sys.stdin:
        print(sum(workers(delayed(len)(word) for word in line.split())), flush=True)
`

// joblib is a Python program with joblib's processes, which are loky's.
func joblib(r *room) service {
	cmd := r.command(r.user, "python3", r.write("lengths.py", lengths))
	cmd.Env = append(cmd.Env, "HOME="+r.home())
	d := r.startDialogue(cmd)
	return service{request: func() error { return d.ask("how long is this", "13") }}
}
