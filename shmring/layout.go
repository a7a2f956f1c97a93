package shmring

import (
	"sync/atomic"
	"unsafe"
)

// The layout of a ring in memory, version 2, as specified in docs/ring.md. A change that
// affects other processes needs a new version or a required feature.
const (
	magic   = 0x676e_6972_6370_6967 // "gipcring" in the memory of a little-endian machine
	version = 2

	headerSize = 4096
	unit       = 64   // a record begins and ends at a multiple of this
	pageSize   = 4096 // the data begins at a multiple of this
	slotCount  = 64   // producers that can be joined at a time

	minCapacity = 1 << 12
	maxCapacity = 1 << 40
)

// Features that a process must know to use the ring.
const (
	featureMany  = 1 << 0 // several producers
	featureTyped = 1 << 1 // messages are values of the type that the schema describes

	knownFeatures = featureMany | featureTyped
)

// header is the first part of the layout. Words that different sides write are 128 bytes
// apart, because processors fetch cache lines in pairs. All access is atomic, because
// another process may write anything at any time.
type header struct {
	preamble

	tail atomic.Uint64 // 128, Many: where the next record is claimed, or where the last one was
	_    [120]byte

	head      atomic.Uint64 // 256, the consumer's: up to here everything is free again
	seenJoins atomic.Uint32 // 264, the consumer's: joins when it last saw the end
	seenDeath atomic.Uint32 // 268, the consumer's: deaths when it last saw the end
	_         [112]byte

	consumerSleeps atomic.Uint32 // 384, a wait word
	_              [124]byte

	producersSleep atomic.Uint32 // 512, a wait word
	_              [124]byte

	joins   atomic.Uint32 // 640, how often a producer has joined
	deaths  atomic.Uint32 // 644, how many were found dead
	tickets atomic.Uint64 // 648, how many tickets were given out
	_       [112]byte

	marks marks // 768, One: the producer's
	_     [128]byte

	members [slotCount + 1]member // 1024, the producers, then the consumer

	schema schemaWords // 3104, of a Chan
}

// schemaWords describe the type of values. They are at the end of a header.
type schemaWords struct {
	size atomic.Uint64 // 0, bytes of a value
	hash atomic.Uint64 // 8, of the whole text
	text [976]byte
}

var _ [headerSize]byte = [unsafe.Sizeof(header{})]byte{}

// A position counts the bytes of all records since the ring was made, the first of
// which is at position capacity. Its low bits are an offset into the data; the
// others are the lap. Each unit of data has a state word:
//
//	bits 63 … 8   lap and length: a position whose offset is replaced by the length
//	bits  7 … 2   slot of the producer that made the claim
//	bits  1 … 0   state
//
// If the word is of another lap than the expected one, there is no record yet.
const (
	free      = 0 // nothing: a word that was never written, or was swept
	claimed   = 1 // its owner is writing it
	committed = 2 // a message
	skipped   = 3 // no message: padding, or an aborted claim

	stateMask  = 3
	ownerShift = 2
	ownerMask  = slotCount - 1
	lapShift   = 8
)

// A geometry holds the capacity and its mask. It is a private copy, made once when the
// header is checked.
type geometry struct {
	capacity uint64
	mask     uint64 // capacity-1
}

func (g geometry) word(pos, length uint64, owner int, state uint64) uint64 {
	return (pos&^g.mask|length)<<lapShift | uint64(owner)<<ownerShift | state
}

// current reports whether w belongs to the record that begins at pos.
func (g geometry) current(w, pos uint64) bool {
	return stateOf(w) != free && (w>>lapShift^pos)&^g.mask<<lapShift == 0
}

// ahead reports whether w belongs to a later lap than pos. No sane producer can have
// written such a word before the consumer has passed pos. The laps in words repeat after
// 2^56 bytes, so a word older than half of that would seem to be ahead: see Consumer.sweep.
func (g geometry) ahead(w, pos uint64) bool {
	return stateOf(w) != free && int64((w>>lapShift&^g.mask-pos&^g.mask)<<lapShift) > 0
}

// sweepPeriod is the number of bytes of records between two sweeps of all state words.
const sweepPeriod = 1 << 54

func (g geometry) length(w uint64) uint64 { return w >> lapShift & g.mask }

func stateOf(w uint64) uint64 { return w & stateMask }

func ownerOf(w uint64) int { return int(w >> ownerShift & ownerMask) }

// extent returns the number of bytes of data that a record of length bytes takes.
func extent(length uint64) uint64 { return max(length+unit-1, unit) &^ (unit - 1) }

func alignUp(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }

func dataOffset(capacity uint64) uint64 { return alignUp(headerSize+capacity/unit*8, pageSize) }

// overlay returns the state words and the data of mem, which must be aligned and as long
// as the layout.
func overlay(mem []byte, g geometry) ([]atomic.Uint64, []byte) {
	at := dataOffset(g.capacity)
	first := (*atomic.Uint64)(unsafe.Pointer(&mem[headerSize:at][0]))
	return unsafe.Slice(first, g.capacity/unit), mem[at : at+g.capacity : at+g.capacity]
}

// state returns the state word of the record that begins at pos.
func (r *Ring) state(pos uint64) *atomic.Uint64 { return &r.states[pos&r.mask/unit] }

// aligned reports whether the 64-bit words of mem can be accessed atomically.
func aligned(mem []byte) bool { return uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%8 == 0 }

// headerOf returns the header of mem, which must be aligned and at least as long.
func headerOf(mem []byte) *header { return (*header)(unsafe.Pointer(&mem[:headerSize][0])) }

// preambleOf returns the preamble of mem, which must be aligned and at least as long as a
// header.
func preambleOf(mem []byte) *preamble { return (*preamble)(unsafe.Pointer(&mem[:headerSize][0])) }

// address returns the address of the memory in this process.
func (h *preamble) address() uint64 { return uint64(uintptr(unsafe.Pointer(h))) }

// idOffset is the offset of the random id.
const idOffset = int64(unsafe.Offsetof(preamble{}.id))

// futexWord returns the address of the word for futex(2).
func futexWord(w *atomic.Uint32) *uint32 { return (*uint32)(unsafe.Pointer(w)) }
