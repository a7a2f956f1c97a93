package detail

import (
	"github.com/sysvipc/gipc/cmd/internal/render"
	"github.com/sysvipc/gipc/cmd/internal/sysvipc"
	"github.com/sysvipc/gipc/sysv"
)

// beginning is how many bytes of a message's text are shown.
const beginning = 64

// A Message is a message that stays in its queue.
type Message struct {
	Type  int
	Size  int
	Start []byte // the first bytes of its text
}

// ReadMessages looks at up to most messages of a queue and takes none. It returns
// an error if the caller may not read the queue, or if the kernel can't (MSG_COPY).
func ReadMessages(q sysv.Queue, most int) ([]Message, error) {
	list := []Message{}
	// A text is cut to the buffer, and its length with it: so the buffer has room for
	// the largest.
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
