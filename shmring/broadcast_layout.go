package shmring

import (
	"sync/atomic"
	"unsafe"
)

// The layout of a broadcast in memory, version 1, as specified in docs/broadcast.md.
const (
	broadcastMagic   = 0x7473_6362_6370_6967 // "gipcbcst" in the memory of a little-endian machine
	broadcastVersion = 1

	readerCount = slotCount    // readers that can be subscribed at a time
	writerRole  = consumerRole // the writer's role; the readers have the roles below it

	indexOffset = headerSize + readerCount*readerSize
	readerSize  = 128
	labelSize   = 32

	// messageRoom is the number of bytes of data for each entry of the index.
	messageRoom = 256
)

// broadcastHeader is the first part of the layout. No cache line that the writer writes for
// each message holds a word that it must read for each message.
type broadcastHeader struct {
	preamble

	published atomic.Uint64 // 128, the writer's: how many messages there have been
	_         [120]byte

	floor atomic.Uint64 // 256, the writer's: messages before this one may be overwritten
	_     [120]byte

	readersSleep atomic.Uint32 // 384, a wait word
	_            [124]byte

	writerSleeps atomic.Uint32 // 512, a wait word
	_            [4]byte
	wanted       atomic.Uint64 // 520, the writer's: the reader that gets to this message wakes it
	_            [112]byte

	joins    atomic.Uint64 // 640, how often a reader has subscribed
	tickets  atomic.Uint64 // 648, how many tickets were given out
	blocking atomic.Uint64 // 656, bit i: the writer waits for reader i
	sessions atomic.Uint32 // 664, how often a writer has joined
	deaths   atomic.Uint32 // 668, how many readers were found dead
	_        [96]byte

	marks marks // 768, the writer's
	_     [128]byte

	members [readerCount + 1]member // 1024, the readers, then the writer
	_       [992]byte
}

var _ [headerSize]byte = [unsafe.Sizeof(broadcastHeader{})]byte{}

// A reader holds the words of a subscription in the memory, apart from its member. The
// reader writes it; the process that buries it clears its bit in blocking.
type reader struct {
	next   atomic.Uint64 // the first message that it has not received
	lost   atomic.Uint64 // how many were overwritten before it received them
	policy atomic.Uint32 // Block or Latest
	_      [4]byte
	label  [labelSize / 8]atomic.Uint64 // a name for people, padded with zeros
	_      [72]byte
}

var _ [readerSize]byte = [unsafe.Sizeof(reader{})]byte{}

// An entry of the index says where a message lies. Message n has the entry n modulo the
// number of entries.
type entry struct {
	position atomic.Uint64 // of its first byte; counts bytes, and only grows
	length   atomic.Uint64
}

const entrySize = 16

var _ [entrySize]byte = [unsafe.Sizeof(entry{})]byte{}

// entriesOf returns how many entries the index of a broadcast of this capacity has.
func entriesOf(capacity uint64) uint64 { return capacity / messageRoom }

func broadcastData(capacity uint64) uint64 {
	return alignUp(indexOffset+entriesOf(capacity)*entrySize, pageSize)
}

// broadcastHeaderOf returns the header of mem, which must be aligned and at least as long.
func broadcastHeaderOf(mem []byte) *broadcastHeader {
	return (*broadcastHeader)(unsafe.Pointer(&mem[:headerSize][0]))
}

// overlayBroadcast returns the parts of mem, which must be aligned and as long as the
// layout.
func overlayBroadcast(mem []byte, capacity uint64) (h *broadcastHeader, readers []reader, index []entry, data []byte) {
	h = broadcastHeaderOf(mem)
	readers = unsafe.Slice((*reader)(unsafe.Pointer(&mem[headerSize:indexOffset][0])), readerCount)
	at := broadcastData(capacity)
	index = unsafe.Slice((*entry)(unsafe.Pointer(&mem[indexOffset:at][0])), entriesOf(capacity))
	return h, readers, index, mem[at : at+capacity : at+capacity]
}
