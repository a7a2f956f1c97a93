package shmring

import (
	"sync/atomic"
	"unsafe"
)

// The layout of a service in memory, version 1, as specified in docs/service.md.
const (
	serviceMagic   = 0x7672_6573_6370_6967 // "gipcserv" in the memory of a little-endian machine
	serviceVersion = 1

	serverRole = consumerRole // the server's role; clients have the roles below it

	deskSize    = 128
	callSize    = 128
	callsOffset = headerSize + slotCount*deskSize

	maxCalls       = 64 // of a client
	maxServiceSize = 1 << 40
)

// serviceHeader is the first part of the layout.
type serviceHeader struct {
	preamble

	clients atomic.Uint32 // 128, the creator's: how many can join
	calls   atomic.Uint32 // 132, the creator's: how many each can make at a time
	_       [120]byte

	pending atomic.Uint64 // 256, bit i: client i may have requests that nobody has taken
	_       [120]byte

	serverSleeps atomic.Uint32 // 384, a wait word
	_            [260]byte

	tickets atomic.Uint64 // 648, how many tickets were given out
	_       [368]byte

	members [slotCount + 1]member // 1024, the clients, then the server
	_       [992]byte
}

var _ [headerSize]byte = [unsafe.Sizeof(serviceHeader{})]byte{}

// A desk is where the process of a client sleeps: one thread for all of its calls.
type desk struct {
	sleeps atomic.Uint32 // a wait word
	_      [124]byte
}

var _ [deskSize]byte = [unsafe.Sizeof(desk{})]byte{}

// A call is one exchange of a request and a reply. Its state says who may write the other
// words and the message.
type call struct {
	state    atomic.Uint64 // 0, its number and state
	request  atomic.Uint64 // 8, the client's: length of the request
	deadline atomic.Int64  // 16, the client's: in ns of CLOCK_MONOTONIC, 0 if there is none
	reply    atomic.Uint64 // 24, the server's: length of the reply
	status   atomic.Uint32 // 32, the server's: the kind of the reply
	_        [92]byte
}

var _ [callSize]byte = [unsafe.Sizeof(call{})]byte{}

// The states of a call: bits 0 to 2 of its state word. The other bits are its number, which
// grows with each request.
const (
	callFree      = 0 // the client's
	callRequested = 1 // the client has sent a request, and may withdraw it
	callServed    = 2 // the server's: it has taken the request
	callDone      = 3 // the client's: there is a reply
	callAbandoned = 4 // the server's: it has taken the request, and nobody waits for the reply

	callMask = 7
)

// to returns the state word w with another state.
func to(w, state uint64) uint64 { return w&^callMask | state }

// The kinds of replies.
const (
	replyOK      = 0
	replyError   = 1 // the text of an error
	replyClosed  = 2 // none: the server has closed
	replyDied    = 3 // none: the server died
	replyLate    = 4 // none: the deadline had passed when the server took the request
	replyRefused = 5 // none: the length of the request was invalid
)

// slots returns how many calls a service has.
func (l ServiceLimits) slots() uint64 { return uint64(l.Clients) * uint64(l.Calls) }

func (l ServiceLimits) dataOffset() uint64 {
	return alignUp(callsOffset+l.slots()*callSize, pageSize)
}

func (l ServiceLimits) size() uint64 { return l.dataOffset() + l.slots()*uint64(l.MaxMessage) }

// serviceHeaderOf returns the header of mem, which must be aligned and at least as long.
func serviceHeaderOf(mem []byte) *serviceHeader {
	return (*serviceHeader)(unsafe.Pointer(&mem[:headerSize][0]))
}

// overlayService returns the parts of mem, which must be aligned and as long as the layout.
func overlayService(mem []byte, l ServiceLimits) (h *serviceHeader, desks []desk, calls []call, data []byte) {
	desks = unsafe.Slice((*desk)(unsafe.Pointer(&mem[headerSize:callsOffset][0])), slotCount)
	at := l.dataOffset()
	calls = unsafe.Slice((*call)(unsafe.Pointer(&mem[callsOffset:at][0])), l.slots())
	return serviceHeaderOf(mem), desks, calls, mem[at:l.size():l.size()]
}
