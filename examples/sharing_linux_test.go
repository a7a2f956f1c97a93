package examples_test

import (
	"strings"
	"testing"

	"github.com/sysvipc/gipc/internal/ipctest"
	"github.com/sysvipc/gipc/shmring"
)

// testFrames runs a camera and three windows. It kills one window, and checks that the
// others go on until the camera ends.
func testFrames(t *testing.T, bin programs) {
	var windows []*ipctest.Process
	for _, name := range []string{"left", "right", "middle"} {
		windows = append(windows, ipctest.Run(t, bin.path("frames"), name))
	}
	ring, err := shmring.OpenOrCreateBroadcast(t.Context(), "/gipc-example-frames", nil)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the windows to subscribe", func() bool {
		all, err := ring.Subscribers()
		return err == nil && len(all) == len(windows)
	})
	camera := ipctest.Run(t, bin.path("frames"))
	for i, name := range []string{"left", "right", "middle"} {
		if line := windows[i].Line(); !strings.HasPrefix(line, name+": frame 0, 307200 bytes") {
			t.Errorf("%s: %q, want frame 0", name, line)
		}
	}
	windows[0].Kill()
	refuses(t, "writer", bin.path("frames")) // a second camera
	windows[1].Line()
	interrupt(t, camera)
	for _, window := range windows[1:] {
		window.Wait()
	}
	if err := ring.Close(); err != nil {
		t.Error(err)
	}
	wantNothingLeft(t)
}

// testSettings changes the configuration under a program that watches it.
func testSettings(t *testing.T, bin programs) {
	watcher := ipctest.Run(t, bin.path("settings"))
	run(t, "", bin.path("settings"), "1920", "1080", "60")
	wantLine(t, watcher, "version 1: 1920x1080, 60 Hz")
	refuses(t, "EOF", bin.path("settings"), "1920", "1080")
	refuses(t, "in use: by another process", bin.path("settings"), "remove")
	run(t, "", bin.path("settings"), "640", "480", "25")
	wantLine(t, watcher, "version 2: 640x480, 25 Hz")
	interrupt(t, watcher)
	late := ipctest.Run(t, bin.path("settings"))
	wantLine(t, late, "version 2: 640x480, 25 Hz")
	interrupt(t, late)
	run(t, "", bin.path("settings"), "remove")
	wantNothingLeft(t)
}

// testMonitor changes the settings before and while a camera runs.
func testMonitor(t *testing.T, bin programs) {
	monitor := ipctest.Run(t, bin.path("monitor"))
	run(t, "", bin.path("settings"), "640", "480", "25")
	wantLine(t, monitor, "settings: 640x480, 25 Hz")
	camera := ipctest.Run(t, bin.path("frames"))
	if line := monitor.Line(); !strings.HasPrefix(line, "frame ") || !strings.HasSuffix(line, ", 307200 bytes, at 640x480") {
		t.Errorf("%q, want a frame", line)
	}
	run(t, "", bin.path("settings"), "1920", "1080", "60")
	waitUntil(t, "the settings among the frames", func() bool { return monitor.Line() == "settings: 1920x1080, 60 Hz" })
	interrupt(t, camera)
	monitor.Wait()
	run(t, "", bin.path("settings"), "remove")
	wantNothingLeft(t)
}

// testSensors sends from several sensors: before there is a collector, and to the successor
// of a killed collector.
func testSensors(t *testing.T, bin programs) {
	run(t, "", bin.path("sensors"), "7", "21.5")
	run(t, "", bin.path("sensors"), "8", "-3")
	collector := ipctest.Run(t, bin.path("sensors"))
	wantLine(t, collector, "sensor 7: 21.5 °C")
	wantLine(t, collector, "sensor 8: -3 °C")
	collector.Kill()
	collector = ipctest.Run(t, bin.path("sensors"))
	run(t, "", bin.path("sensors"), "9", "0")
	line := collector.Line()
	if line == "sensor 8: -3 °C" { // the dead collector had not released it
		line = collector.Line()
	}
	if line != "sensor 9: 0 °C" {
		t.Errorf("the second collector got %q", line)
	}
	refuses(t, "invalid syntax", bin.path("sensors"), "9", "hot")
	interrupt(t, collector)
	wantNothingLeft(t)
}
