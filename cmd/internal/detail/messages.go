package detail

import (
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// beginning is the number of bytes shown of each message.
const beginning = 64

// A Message is a message that stays in its queue.
type Message struct {
	Type  int
	Size  int
	Start []byte // the first bytes of its text
}

// ReadMessages returns up to most messages and leaves them in the queue. It fails if
// the caller may not read the queue, or if the kernel lacks MSG_COPY.
func ReadMessages(q sysv.Queue, most int) ([]Message, error) {
	list := []Message{}
	// The kernel truncates a text to the buffer and returns the truncated length, so
	// the buffer must hold the largest possible message.
	limits, err := sysvipc.MsgLimits()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, limits.MaxSize)
	for index := range most {
		n, mtype, ok, err := q.Peek(index, buf, true)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		list = append(list, Message{Type: mtype, Size: n, Start: append([]byte(nil), buf[:min(n, beginning)]...)})
	}
	return list, nil
}

func messages(s Subject) render.Cell {
	if s.Messages == nil {
		return render.Unknown()
	}
	rows := make([][]render.Cell, len(s.Messages))
	for i, m := range s.Messages {
		rows[i] = []render.Cell{
			render.Int(int64(i)), render.Int(int64(m.Type)), render.Int(int64(m.Size)), render.Text(string(m.Start)),
		}
	}
	return render.Objects(columns("index", "type", "size", "start"), rows)
}
