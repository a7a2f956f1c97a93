package programs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
)

// xymon is Xymon's server, whose channels are segments and sets with keys from ftok(3).
func xymon(r *room) service {
	r.overlay("/var/log/xymon")
	r.overlay("/var/lib/xymon")
	dir := r.runtimeDir("xymon", "xymon")
	const bin = "/usr/lib/xymon/server/bin/"
	for _, name := range []string{"bbdisp-runtime", "xymonclient-include", "xymonserver-include"} {
		r.must("xymon", "touch", dir+"/"+name+".cfg")
	}
	r.must("root", "rm", "-f", dir+"/xymonlaunch.pid", dir+"/xymond.pid")
	r.start("xymon", bin+"xymonlaunch", "--no-daemon", "--config=/etc/xymon/tasks.cfg", "--env=/etc/xymon/xymonserver.cfg",
		"--log=/var/log/xymon/xymonlaunch.log", "--pidfile="+dir+"/xymonlaunch.pid")
	return service{request: func() error {
		if _, err := r.run("xymon", bin+"xymon", "127.0.0.1", "status room.test green it works"); err != nil {
			return err
		}
		said, err := r.run("xymon", bin+"xymon", "127.0.0.1", "ping")
		if err == nil && !strings.HasPrefix(said, "xymond") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}}
}

// zabbixAgent is Zabbix's agent, whose segments are marked for removal from the start.
func zabbixAgent(r *room) service {
	r.start("zabbix", "zabbix_agentd", "--foreground", "-c", r.write("zabbix.conf", fmt.Sprintf(`
PidFile=%s/agent.pid
LogType=console
Server=127.0.0.1
ListenIP=127.0.0.1
Hostname=room
`, r.owned("zabbix", "zabbix"))))
	return service{request: func() error {
		c, err := r.dial("tcp", "127.0.0.1:10050")
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		const header, ping = "ZBXD\x01", "agent.ping"
		if _, err := c.Write(append(binary.LittleEndian.AppendUint64([]byte(header), uint64(len(ping))), ping...)); err != nil {
			return err
		}
		said, err := io.ReadAll(c)
		if err == nil && !bytes.HasSuffix(said, []byte("1")) {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}}
}

// gammuSMSD is the daemon that sends and receives text messages through a phone, here
// one that does not exist. Its monitor is the last user of its segment.
func gammuSMSD(r *room) service {
	conf := r.write("smsd.conf", fmt.Sprintf(`
[gammu]
model = dummy
connection = none
port = %s
[smsd]
service = null
logfile = stderr
`, r.owned("phone", "root")))
	pid := r.path("smsd.pid")
	r.discard(pid)
	r.must("root", "gammu-smsd", "--pid="+pid, "--daemon", "--config="+conf)
	return service{request: func() error {
		said, err := r.run("root", "gammu-smsd-monitor", "-c", conf, "-n", "1", "-d", "0")
		if err == nil && !strings.Contains(said, "IMEI: 999") {
			err = fmt.Errorf("it answered %q", said)
		}
		return err
	}}
}
