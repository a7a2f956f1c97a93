package relay

import (
	"encoding/binary"
	"errors"
)

// In a payload, each message follows its length, a little-endian number.
const lengthSize = 4

func appendFrame(payload, msg []byte) []byte {
	payload = binary.LittleEndian.AppendUint32(payload, uint32(len(msg)))
	return append(payload, msg...)
}

var errFrames = errors.New("relay: the payload is not a row of messages")

// frames appends the messages of a payload to msgs. They are parts of the payload.
func frames(msgs [][]byte, payload []byte) ([][]byte, error) {
	for len(payload) > 0 {
		if len(payload) < lengthSize {
			return nil, errFrames
		}
		n := uint64(binary.LittleEndian.Uint32(payload))
		payload = payload[lengthSize:]
		if n > uint64(len(payload)) {
			return nil, errFrames
		}
		msgs = append(msgs, payload[:n:n])
		payload = payload[n:]
	}
	if len(msgs) == 0 {
		return nil, errFrames
	}
	return msgs, nil
}

// extent returns how much of a ring a message takes.
func extent(length int) int { return max((length+63)&^63, 64) }
