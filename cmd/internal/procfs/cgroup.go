package procfs

import (
	"bytes"
	"strings"
)

// A Container is where a process runs, as far as the names of its control groups show.
// The zero Container means unknown.
type Container struct {
	Runtime string // docker, containerd, crio, podman, lxc, nspawn, or "" if the name does not say
	ID      string // 64 hexadecimal digits, or the name of an lxc or nspawn container
	Pod     string // Kubernetes: the uid of the pod
	Unit    string // systemd: the innermost unit, such as cron.service
	Job     Job
}

// Name is RUNTIME:ID, or as much of it as is known.
func (c Container) Name() string {
	if c.Runtime != "" && c.ID != "" {
		return c.Runtime + ":" + c.ID
	}
	return c.ID
}

// ParseCgroup parses /proc/PID/cgroup. If several hierarchies are mounted, the unified
// hierarchy and systemd's take precedence.
func ParseCgroup(b []byte) Container {
	var best Container
	lines(b, func(line []byte) bool {
		p := parser{rest: line}
		p.until(':')
		controllers := string(p.until(':'))
		if p.failed {
			return true
		}
		c := containerOf(string(p.rest))
		if controllers != "" && controllers != "name=systemd" {
			c.Unit = ""
		}
		if c.ID != "" && best.ID == "" {
			best.Runtime, best.ID = c.Runtime, c.ID
		}
		if c.Pod != "" && best.Pod == "" {
			best.Pod = c.Pod
		}
		if c.Unit != "" && (best.Unit == "" || controllers == "") {
			best.Unit = c.Unit
		}
		if best.Job.ID == "" {
			best.Job = jobOf(string(p.rest))
		}
		return true
	})
	return best
}

// A ContainerGroup is the control group of a container.
type ContainerGroup struct {
	Runtime, ID string // as in Container
	Path        string
}

// ParseContainerGroup parses /proc/PID/cgroup like ParseCgroup.
func ParseContainerGroup(b []byte) (g ContainerGroup) {
	lines(b, func(line []byte) bool {
		p := parser{rest: line}
		p.until(':')
		p.until(':')
		path := string(p.rest)
		c := containerOf(path)
		if p.failed || c.ID == "" {
			return true
		}
		end := strings.LastIndex(path, c.ID) + len(c.ID)
		rest, _, _ := strings.Cut(path[end:], "/")
		g = ContainerGroup{c.Runtime, c.ID, path[:end+len(rest)]}
		return false
	})
	return g
}

// containerOf parses the path of a control group. Containers can be nested; the
// innermost one counts.
func containerOf(path string) (c Container) {
	parent := ""
	for name := range strings.SplitSeq(path, "/") {
		if runtime, id := containerName(parent, name); id != "" {
			c.Runtime, c.ID = runtime, id
		}
		if uid, ok := podName(name); ok {
			c.Pod = uid
		}
		if isUnit(name) {
			c.Unit = name
		}
		parent = name
	}
	return c
}

// containerName parses the name of a control group below parent. The forms are those of
// each runtime's cgroupfs and systemd drivers:
//
//	/docker/ID                     /system.slice/docker-ID.scope
//	/kubepods/burstable/podUID/ID  /kubepods.slice/.../cri-containerd-ID.scope
//	.../crio-ID                    .../crio-ID.scope
//	/libpod_parent/libpod-ID       /machine.slice/libpod-ID.scope
//	.../kubepods-besteffort-podUID.slice:cri-containerd:ID
func containerName(parent, name string) (runtime, id string) {
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		name = strings.TrimPrefix(name[strings.LastIndexByte(name[:i], ':')+1:], ":")
		name = strings.Replace(name, ":", "-", 1)
	}
	name = strings.TrimSuffix(name, ".scope")
	switch {
	case strings.HasPrefix(name, "lxc.payload."):
		return "lxc", name[len("lxc.payload."):]
	case parent == "lxc":
		return "lxc", name
	case parent == "machine.slice" && strings.HasPrefix(name, "machine-"):
		return "nspawn", name[len("machine-"):]
	}
	prefix, id := "", name
	if i := strings.LastIndexByte(name, '-'); i >= 0 {
		prefix, id = name[:i], name[i+1:]
	}
	if !isContainerID(id) {
		return "", ""
	}
	switch prefix {
	case "docker":
		return "docker", id
	case "cri-containerd", "nerdctl":
		return "containerd", id
	case "crio":
		return "crio", id
	case "libpod":
		return "podman", id
	case "":
		if parent == "docker" {
			return "docker", id
		}
		return "", id
	default: // such as crio-conmon, a helper outside the container
		return "", ""
	}
}

func isContainerID(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// podName parses podUID or kubepods-burstable-podUID.slice; systemd's form has
// underscores instead of the uid's dashes.
func podName(name string) (uid string, ok bool) {
	name, _, _ = strings.Cut(name, ":")
	name = strings.TrimSuffix(name, ".slice")
	if strings.HasPrefix(name, "kubepods-") {
		i := strings.LastIndex(name, "-pod")
		if i < 0 {
			return "", false
		}
		return strings.ReplaceAll(name[i+len("-pod"):], "_", "-"), true
	}
	uid, ok = strings.CutPrefix(name, "pod")
	if !ok || len(uid) < 32 || strings.Trim(uid, "0123456789abcdef-") != "" {
		return "", false
	}
	return uid, true
}

// isUnit reports whether a control group belongs to a systemd unit.
func isUnit(name string) bool {
	i := bytes.LastIndexByte([]byte(name), '.')
	if i < 1 {
		return false
	}
	switch name[i+1:] {
	case "service", "scope", "socket", "mount", "swap":
		return true
	}
	return false
}
