package utillinux_test

import "testing"

func TestLsipc(t *testing.T) {
	peer(t, "lsipc")
	isolate(t)
	styles := options("", "-e", "-J", "-n", "-r", "-l", "--noheadings", "-r --noheadings", "-y", "-ye", "-yJ", "-yr")
	global := product(options("", "-g", "-gm", "-gq", "-gs"), options("", "-b", "-o +used", "-o use%,RESOURCE", "-P"), styles)
	for _, args := range global {
		same(t, c(), "lsipc", args...)
	}
	p := populate(t)
	for _, args := range global {
		if hasAny(args, "-gs", "-g") || len(args) == 0 || args[0][1] != 'g' {
			continue // the sum of the semaphores is wrong: TestDifferences
		}
		same(t, c(), "lsipc", args...)
	}
	list := product(
		options("-m", "-q", "-s"),
		options("", "-t", "-c", "-b", "-ct", "-o key,id,owner", "-o +ctime,perms,User,GROUP,cuser,cgroup", "--notruncate", "-P"),
		styles,
		options("", "--time-format full", "--time-format=iso", "--time-format short"),
	)
	for _, args := range list {
		if hasAny(args, "-q") && hasAny(args, "-P") {
			continue // the permissions are missing: TestDifferences
		}
		same(t, c(), "lsipc", args...)
	}
	for _, env := range zones() {
		for _, format := range options("", "--time-format full", "--time-format iso") {
			same(t, env, "lsipc", append(format, "-m", "-t")...)
			same(t, env, "lsipc", append(format, "-q", "-t", "-J")...)
		}
	}
	for kind, ids := range p.ids() {
		for _, args := range options("", "-l", "-J", "-e", "-t", "-c", "-o key", "-o +id", "-b", "--time-format iso", "-y", "--noheadings") {
			for _, id := range ids {
				same(t, c(), "lsipc", append(args, "-"+kind, "-i", id)...)
			}
		}
	}
}

func hasAny(args []string, words ...string) bool {
	for _, arg := range args {
		for _, word := range words {
			if arg == word {
				return true
			}
		}
	}
	return false
}
