// Package programs_test starts real programs from Debian packages that use System V or
// POSIX IPC, the way their packages start them, and compares what gipcs says about
// their objects with what they do: no object that a live program can use is an orphan,
// and what a killed program leaves is found.
//
//	go test ./integration/programs -programs light|all [-table FILE]
//
// Each file describes one program, or a few similar ones. To add a program, write a
// function that starts it (see program) and add a line to all.
package programs_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
)

var (
	which    = flag.String("programs", "", "which `programs` to start: light, all, or names with commas between them")
	table    = flag.String("table", "", "write the page of results to `file`")
	packages = flag.Bool("packages", false, "print the Debian packages that are missing for -programs, and exit")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *warded != "" {
		keepWard(*warded)
		return
	}
	if *packages {
		fmt.Println(strings.Join(missingPackages(selected()), " "))
		return
	}
	ipctest.Main(m)
}

// all returns every program, in the order of the page. The light ones run in .ci/run.
func all() []program {
	const www, postgres = "www-data", "postgres"
	return []program{
		{name: "Apache, prefork", packages: "apache2", user: www, start: apachePrefork, light: true},
		{name: "PHP-FPM, ondemand", packages: "php-fpm libfcgi-bin", user: www, start: phpFPM, light: true},
		{name: "fakeroot", packages: "fakeroot", start: fakeroot, light: true},
		{name: "PostgreSQL", packages: "postgresql", user: postgres, start: postgreSQL("mmap", "posix"), light: true},
		{name: "Python, multiprocessing", packages: "python3", start: pythonPool, light: true},
		{name: "Perl, IPC::SysV", packages: "perl", start: perlPrefork, light: true},
		{name: "x11vnc on Xvfb", packages: "x11vnc xvfb", start: x11vnc, light: true},
		{name: "chrony", packages: "chrony", start: chrony, light: true},

		{name: "Apache, event, with a balancer", packages: "apache2", user: www, start: apacheBalancer},
		{name: "uWSGI, ipcsem", packages: "uwsgi-core uwsgi-plugin-python3", user: www, start: uWSGI},
		{name: "Squid, SMP", packages: "squid", start: squid},
		{name: "C-ICAP", packages: "c-icap", start: cICAP},
		{name: "Unbound", packages: "unbound", start: unbound},
		{name: "PostgreSQL, sysv", packages: "postgresql", user: postgres, start: postgreSQL("sysv", "sysv")},
		{name: "Pgpool-II on PostgreSQL", packages: "pgpool2 postgresql", user: postgres, start: pgpool},
		{name: "gpsd", packages: "gpsd", start: gpsd},
		{name: "gammu-smsd", packages: "gammu-smsd", start: gammuSMSD},
		{name: "Xymon", packages: "xymon", start: xymon},
		{name: "Zabbix agent", packages: "zabbix-agent", start: zabbixAgent},
		{name: "Corosync", packages: "corosync", start: corosync},
		{name: "openCryptoki", packages: "opencryptoki", start: openCryptoki},
		{name: "JACK", packages: "jackd2", start: jack},
		{name: "PulseAudio", packages: "pulseaudio pulseaudio-utils", start: pulseAudio},
		{name: "LTTng", packages: "lttng-tools", start: lttng},
		{name: "TigerVNC on Xvfb", packages: "tigervnc-scraping-server xvfb", start: tigerVNC},
		{name: "Open MPI", packages: "openmpi-bin python3-mpi4py", start: openMPI},
		{name: "joblib", packages: "python3-joblib", start: joblib},
		{name: "Perl, IPC::ShareLite", packages: "libipc-sharelite-perl", start: perlShareLite},
		{name: "faketime", packages: "faketime", start: faketime},
		{name: "buffer", packages: "buffer", start: buffer},
		{name: "fio", packages: "fio", start: fio},
		{name: "svsematest and pmqtest", packages: "rt-tests", start: rtTests},
		{name: "stress-ng", packages: "stress-ng", start: stressNG},
	}
}

// selected returns the programs that -programs asks for.
func selected() (list []program) {
	names := strings.Split(*which, ",")
	for _, p := range all() {
		if *which == "all" || *which == "light" && p.light || slices.Contains(names, p.id()) {
			list = append(list, p)
		}
	}
	return list
}

// allPackages returns the packages of programs, each once.
func allPackages(programs []program) (names []string) {
	for _, p := range programs {
		for name := range strings.FieldsSeq(p.packages) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// missingPackages returns the programs' packages that are not installed.
func missingPackages(programs []program) []string {
	return slices.DeleteFunc(allPackages(programs), func(name string) bool {
		status, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status}", name).Output()
		return err == nil && string(status) == "installed"
	})
}

func TestPrograms(t *testing.T) {
	if *which == "" {
		t.Skip("starts servers: give -programs, or use make programs")
	}
	ipctest.NeedOtherUsers(t)
	programs := selected()
	if len(programs) == 0 {
		t.Fatalf("-programs %s: no program has that name", *which)
	}
	gipcs := buildCommand(t)
	results := make([]*result, len(programs))
	turns := make(map[string]*sync.Mutex) // of users
	for i, p := range programs {
		if p.user == "" {
			programs[i].user = strconv.Itoa(ipctest.User(1 + i%15)) // the bystander is 0
		}
		turns[programs[i].user] = new(sync.Mutex)
	}
	t.Run("each", func(t *testing.T) {
		for i, p := range programs {
			t.Run(p.id(), func(t *testing.T) {
				t.Parallel()
				if missing := missingPackages([]program{p}); len(missing) > 0 {
					t.Skip("not installed: apt-get install " + strings.Join(missing, " "))
				}
				turns[p.user].Lock()
				t.Cleanup(turns[p.user].Unlock)
				results[i] = observe(t, p, gipcs)
			})
		}
	})
	judge(t, results)
	if *table != "" {
		writeTable(t, *table, programs, results)
	}
}

// buildCommand builds gipcs where every user may run it.
func buildCommand(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	gipcs := filepath.Join(dir, "gipcs")
	if out, err := exec.Command("go", "build", "-o", gipcs, "../../cmd/gipcs").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return gipcs
}
