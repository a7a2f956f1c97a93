package shmring

import "testing"

// TestPace has a consumer receive so many messages of 256 bytes between two waits.
func TestPace(t *testing.T) {
	const capacity = 1 << 20
	for _, tt := range []struct {
		what          string
		pause         uint32
		messages      uint64
		capacity      uint64
		want          uint32
		afterwards    uint64
		wantAfterward uint32
	}{
		{"a request at a time", pauseLeast, 1, capacity, pauseLeast, 1, pauseLeast},
		{"a million a second, or three", pauseLeast, pauseLeast/8 - 1, capacity, pauseLeast, 1, pauseLeast},
		{"as fast as it goes", pauseLeast, pauseLeast, capacity, 2 * pauseLeast, 2 * pauseLeast, 4 * pauseLeast},
		{"as fast as it goes, at the bound", pauseMost, pauseMost, capacity, pauseMost, pauseMost, pauseMost},
		{"fast, then a request", pauseMost, pauseMost, capacity, pauseMost, 1, pauseLeast},
		{"fast, through a small ring", pauseLeast, pauseLeast, 16 << 10, pauseLeast, pauseLeast, pauseLeast},
		{"the ring becomes full", pauseMost, pauseMost, 128 << 10, pauseMost / 2, pauseMost, pauseMost / 4},
		{"a small ring becomes full", pauseLeast, pauseLeast, 8 << 10, pauseLeast, pauseLeast, pauseLeast},
	} {
		w := waiter{pause: tt.pause}
		w.pace(tt.messages, tt.messages*256, tt.capacity)
		if w.pause != tt.want {
			t.Errorf("%s: a pause of %d, want %d", tt.what, w.pause, tt.want)
		}
		w.pace(tt.afterwards, tt.afterwards*256, tt.capacity)
		if w.pause != tt.wantAfterward {
			t.Errorf("%s: a pause of %d after that, want %d", tt.what, w.pause, tt.wantAfterward)
		}
	}
}
