package smartcols

import "encoding/binary"

// cells is a sequence of texts, each after its length, in blocks. Unlike a growing
// slice it never copies what it holds.
type cells struct{ blocks [][]byte }

const blockSize = 64 << 10

func (c *cells) add(text []byte) {
	size := binary.MaxVarintLen32 + len(text)
	last := len(c.blocks) - 1
	if last < 0 || cap(c.blocks[last])-len(c.blocks[last]) < size {
		c.blocks = append(c.blocks, make([]byte, 0, max(blockSize, size)))
		last++
	}
	block := binary.AppendUvarint(c.blocks[last], uint64(len(text)))
	c.blocks[last] = append(block, text...)
}

// all returns a reader of all texts.
func (c *cells) all() reader { return reader{blocks: c.blocks} }

type reader struct {
	blocks [][]byte
	rest   []byte // of the block before blocks
}

// next returns the next text, which must exist.
func (r *reader) next() []byte {
	if len(r.rest) == 0 {
		r.rest, r.blocks = r.blocks[0], r.blocks[1:]
	}
	length, n := uint64(r.rest[0]), 1
	if length >= 0x80 {
		length, n = binary.Uvarint(r.rest)
	}
	text := r.rest[n:][:length:length]
	r.rest = r.rest[n+len(text):]
	return text
}
