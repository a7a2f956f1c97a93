package logind

import (
	"testing"
	"testing/fstest"
)

func TestRemoves(t *testing.T) {
	const main, extra = "etc/systemd/logind.conf", "/systemd/logind.conf.d/"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  bool
	}{
		{"no configuration", nil, true},
		{"the default of the distribution", map[string]string{main: "[Login]\n#RemoveIPC=no\n"}, false},
		{"set", map[string]string{main: "[Login]\n#RemoveIPC=no\nRemoveIPC=yes\n"}, true},
		{"a drop-in counts more", map[string]string{main: "RemoveIPC=yes\n", "etc" + extra + "a.conf": "RemoveIPC = no\nRemoveIPC=off\n"}, false},
		{"the last drop-in counts", map[string]string{"etc" + extra + "a.conf": "RemoveIPC=no", "usr/lib" + extra + "b.conf": "RemoveIPC=1"}, true},
		{"one of /etc hides its namesake", map[string]string{"etc" + extra + "a.conf": "RemoveIPC=no", "usr/lib" + extra + "a.conf": "RemoveIPC=yes"}, false},
		{"of /usr/lib alone", map[string]string{"usr/lib/systemd/logind.conf": "#RemoveIPC=no"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			system := fstest.MapFS{"run/systemd/users/1000": &fstest.MapFile{}}
			for name, text := range tt.files {
				system[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := Removes(system); got != tt.want {
				t.Errorf("Removes = %v, want %v", got, tt.want)
			}
			delete(system, "run/systemd/users/1000")
			if Removes(system) {
				t.Error("Removes is true though logind does not run")
			}
		})
	}
}

func TestSystemUser(t *testing.T) {
	system := fstest.MapFS{"etc/login.defs": &fstest.MapFile{Data: []byte("# SYS_UID_MAX 5\nSYS_UID_MAX\t\t  499\n")}}
	for uid, want := range map[uint32]bool{0: true, 499: true, 500: false, 1000: false, 65534: true} {
		if got := SystemUser(system, uid); got != want {
			t.Errorf("SystemUser(%d) = %v, want %v", uid, got, want)
		}
	}
	if SystemUser(fstest.MapFS{}, 1000) || !SystemUser(fstest.MapFS{}, 999) {
		t.Error("without login.defs, the limit is not 999")
	}
}
