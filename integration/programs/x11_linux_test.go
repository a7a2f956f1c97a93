package programs_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
)

// xServer starts Xvfb with a screen unless it is running; it survives its clients. No
// other program may use the screen's number, which is in the name of one of the
// machine's lock files.
func xServer(r *room, screen int) (display string) {
	there := func() bool {
		c, err := r.dial("unix", fmt.Sprintf("@/tmp/.X11-unix/X%d", screen))
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	display = fmt.Sprintf(":%d", screen)
	if there() {
		return display
	}
	lock := fmt.Sprintf("/tmp/.X%d-lock", screen) // a killed server leaves it
	r.discard(lock)
	r.t.Cleanup(func() { r.discard(lock) })
	server := r.start(r.user, "Xvfb", display, "-screen", "0", "640x480x24", "-nolisten", "unix")
	r.spares(server.pid)
	r.until("the X server listens", there)
	return display
}

// x11vnc is x11vnc with an X server that outlives it and detaches last.
func x11vnc(r *room) service {
	r.start(r.user, "x11vnc", "-display", xServer(r, 77), "-forever", "-shared", "-nopw", "-localhost", "-rfbport", "5977", "-quiet")
	return service{request: func() error { return picture(r, "127.0.0.1:5977") }}
}

// tigerVNC is TigerVNC's server for an existing screen, which makes its segment for the
// first viewer.
func tigerVNC(r *room) service {
	r.start(r.user, "X0tigervnc", "-display", xServer(r, 78), "-SecurityTypes", "None", "-rfbport", "5978", "-localhost")
	return service{request: func() error { return picture(r, "127.0.0.1:5978") }}
}

// picture gets one picture of the screen from a VNC server (RFC 6143).
func picture(r *room, address string) error {
	c, err := r.dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	read := func(n int) []byte {
		b := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(c, b)
		}
		return b
	}
	write := func(b ...byte) {
		if err == nil {
			_, err = c.Write(b)
		}
	}
	version := read(12)
	if err == nil && !strings.HasPrefix(string(version), "RFB 003.") {
		return fmt.Errorf("it is not a VNC server: %q", version)
	}
	write([]byte("RFB 003.008\n")...)
	read(int(read(1)[0])) // security types
	write(1)              // no authentication
	read(4)
	write(1) // shared access
	screen := read(24)
	read(int(binary.BigEndian.Uint32(screen[20:]))) // the name of the desktop
	write(append([]byte{3, 0, 0, 0, 0, 0}, screen[:4]...)...)
	answer := read(4)
	if err == nil && (answer[0] != 0 || answer[3] == 0) {
		err = fmt.Errorf("it sent no picture: %x", answer)
	}
	return err
}
