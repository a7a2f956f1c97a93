package shmring

import "time"

// tick begins to wait for the end of these processes, and returns how long a sleeper may
// sleep before it looks who is alive. all says that nobody else needs to be watched.
func (v *vigil) tick(pids []int, all bool, ended func()) time.Duration {
	switch {
	case !all || !v.keep(pids, ended):
		return tick
	case len(pids) == 0:
		return restTick
	}
	return longTick
}
