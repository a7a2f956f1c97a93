package shmring

import (
	"testing"
	"unsafe"
)

// TestOffsets compares the header with the table in docs/ring.md.
func TestOffsets(t *testing.T) {
	var h header
	var m member
	for _, tt := range []struct {
		name      string
		got, want uintptr
	}{
		{"magic", unsafe.Offsetof(h.magic), 0},
		{"version", unsafe.Offsetof(h.version), 8},
		{"headerSize", unsafe.Offsetof(h.headerSize), 12},
		{"compatible", unsafe.Offsetof(h.compatible), 16},
		{"required", unsafe.Offsetof(h.required), 24},
		{"id", unsafe.Offsetof(h.id), 32},
		{"size", unsafe.Offsetof(h.size), 48},
		{"capacity", unsafe.Offsetof(h.capacity), 56},
		{"states", unsafe.Offsetof(h.states), 64},
		{"data", unsafe.Offsetof(h.data), 72},
		{"unit", unsafe.Offsetof(h.unit), 80},
		{"slotCount", unsafe.Offsetof(h.slotCount), 84},
		{"death", unsafe.Offsetof(h.death), 88},
		{"locks", unsafe.Offsetof(h.locks), 96},
		{"namespace", unsafe.Offsetof(h.namespace), 104},
		{"boot", unsafe.Offsetof(h.boot), 112},
		{"tail", unsafe.Offsetof(h.tail), 128},
		{"head", unsafe.Offsetof(h.head), 256},
		{"seenJoins", unsafe.Offsetof(h.seenJoins), 264},
		{"seenDeath", unsafe.Offsetof(h.seenDeath), 268},
		{"consumerSleeps", unsafe.Offsetof(h.consumerSleeps), 384},
		{"producersSleep", unsafe.Offsetof(h.producersSleep), 512},
		{"joins", unsafe.Offsetof(h.joins), 640},
		{"deaths", unsafe.Offsetof(h.deaths), 644},
		{"tickets", unsafe.Offsetof(h.tickets), 648},
		{"members", unsafe.Offsetof(h.members), 1024},
		{"consumer", unsafe.Offsetof(h.members) + consumerRole*unsafe.Sizeof(member{}), 3072},
		{"member.pid", unsafe.Offsetof(m.pid), 8},
		{"member.namespace", unsafe.Offsetof(m.namespace), 12},
		{"member.start", unsafe.Offsetof(m.start), 16},
		{"member, whole", unsafe.Sizeof(m), 32},
		{"end", unsafe.Sizeof(h), 4096},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is at offset %d, want %d", tt.name, tt.got, tt.want)
		}
	}
}

func TestStateWord(t *testing.T) {
	for _, capacity := range []uint64{minCapacity, 1 << 20, maxCapacity} {
		g := geometry{capacity: capacity, mask: capacity - 1}
		for _, pos := range []uint64{capacity, 5*capacity + 640, 1<<56 - unit, 1<<56 + capacity} {
			for _, length := range []uint64{0, 1, 64, capacity / 2, capacity - unit} {
				for _, slot := range []int{0, 1, slotCount - 1} {
					for _, s := range []uint64{claimed, committed, skipped} {
						w := g.word(pos, length, slot, s)
						if g.length(w) != length || ownerOf(w) != slot || stateOf(w) != s {
							t.Errorf("word(%#x, %d, %d, %d) = %#x: length %d, owner %d, state %d",
								pos, length, slot, s, w, g.length(w), ownerOf(w), stateOf(w))
						}
						if !g.current(w, pos) || g.current(w, pos+capacity) || g.current(w, pos-capacity) {
							t.Errorf("word %#x of position %#x: lap is wrong", w, pos)
						}
						if g.ahead(w, pos) || g.ahead(w, pos+capacity) || !g.ahead(w, pos-capacity) {
							t.Errorf("word %#x of position %#x: order of laps is wrong", w, pos)
						}
					}
				}
			}
		}
	}
	g := geometry{capacity: minCapacity, mask: minCapacity - 1}
	if g.current(0, minCapacity) || g.ahead(0, minCapacity) {
		t.Error("zeroed memory counts as a record of the first lap")
	}
}

func TestExtent(t *testing.T) {
	for length, want := range map[uint64]uint64{0: 64, 1: 64, 64: 64, 65: 128, 4032: 4032, 4095: 4096} {
		if got := extent(length); got != want {
			t.Errorf("extent(%d) = %d, want %d", length, got, want)
		}
	}
}

func TestStartTime(t *testing.T) {
	const tail = " S 1 2 3 0 -1 4194304 102 0 0 0 0 0 0 0 20 0 7 0 245942 3133440 388"
	for _, name := range []string{"(cat)", "(a b)", "(x) R 1 (y)", "(()"} {
		if got := startTime([]byte("18746 " + name + tail)); got != 245942 {
			t.Errorf("start time of %s = %d", name, got)
		}
	}
	for _, text := range []string{"", "1", "1 (a)", "1 (a) S 1 2", "1 (a" + tail[:20], "1 (a) S 1 2 3 0 -1 4 1 0 0 0 0 0 0 0 20 0 x 0 y 3 4"} {
		if got := startTime([]byte(text)); got != 0 {
			t.Errorf("start time of %q = %d, want 0", text, got)
		}
	}
}
