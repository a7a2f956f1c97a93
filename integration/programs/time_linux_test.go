package programs_test

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// chrony is chronyd with a reference clock in a segment. It does not set the machine's
// clock.
func chrony(r *room) service {
	pid, socket := r.path("chrony.pid"), r.owned("chrony", "_chrony")+"/socket"
	r.discard(pid)
	r.discard(socket)
	r.check(os.Chmod(filepath.Dir(socket), 0o750)) // chronyd requires this mode
	r.must("root", "chronyd", "-x", "-f", r.write("chrony.conf", fmt.Sprintf(`
refclock SHM 0 refid CLCK
port 0
cmdport 0
bindcmdaddress %s
pidfile %s
`, socket, pid)))
	return service{request: func() error {
		said, err := r.run("root", "chronyc", "-h", socket, "-c", "sources")
		if err == nil && !strings.Contains(said, "CLCK") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}}
}

// gpsd is gpsd with a receiver on a serial line. It exports what it receives in
// segments with the key GPSD, and NTP0 to NTP7 for programs that set clocks.
func gpsd(r *room) service {
	line := receiver(r)
	r.start("root", "gpsd", "-N", "-n", line)
	return service{request: func() error {
		c, err := r.dial("tcp", "127.0.0.1:2947")
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := io.WriteString(c, "?WATCH={\"enable\":true,\"json\":true};\n"); err != nil {
			return err
		}
		reports := bufio.NewScanner(c)
		for reports.Scan() {
			if strings.Contains(reports.Text(), `"class":"TPV"`) {
				return nil
			}
		}
		return fmt.Errorf("it reported no position: %w", cmp.Or(reports.Err(), io.EOF))
	}}
}

// receiver returns a terminal on which a GPS receiver reports its position until the
// test ends.
func receiver(r *room) string {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	r.check(err)
	fd := int(master.Fd())
	r.check(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	r.check(err)
	end := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			now := time.Now().UTC()
			sentence := now.Format("GPRMC,150405,A,4916.45,N,12311.12,W,000.5,054.7,020106,020.3,E")
			var sum byte
			for _, c := range []byte(sentence) {
				sum ^= c
			}
			_ = unix.SetNonblock(fd, true) // there may be no reader
			_, _ = unix.Write(fd, fmt.Appendf(nil, "$%s*%02X\r\n", sentence, sum))
			select {
			case <-end:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	r.t.Cleanup(func() {
		close(end)
		<-done
		master.Close()
	})
	return fmt.Sprintf("/dev/pts/%d", n)
}
