package shmring

import "time"

// tick starts to watch for the end of these processes, and returns how long a sleeper may
// sleep before it checks who is alive. all means that no other process needs to be
// watched.
func (v *vigil) tick(pids []int, all bool, ended func()) time.Duration {
	switch {
	case !all || !v.keep(pids, ended):
		return tick
	case len(pids) == 0:
		return restTick
	}
	return longTick
}
