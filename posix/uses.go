package posix

import (
	"io/fs"
	"math"
	"sync/atomic"
)

// A uses counts the calls that use a resource that may be closed at any time; the resource
// is released after the last of them. The zero value is open.
type uses struct{ n atomic.Int64 }

// closed is added to the count when the resource is closed.
const closed = math.MinInt64

// begin counts a call in. It returns fs.ErrClosed after end.
func (u *uses) begin() error {
	for {
		n := u.n.Load()
		if n < 0 {
			return fs.ErrClosed
		}
		if u.n.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

// done counts a call out. It reports whether this was the last call after end.
func (u *uses) done() (last bool) { return u.n.Add(-1) == closed }

// end closes the resource. It reports whether no call is under way. It returns
// fs.ErrClosed if it was called before.
func (u *uses) end() (last bool, err error) {
	for {
		n := u.n.Load()
		if n < 0 {
			return false, fs.ErrClosed
		}
		if u.n.CompareAndSwap(n, n+closed) {
			return n == 0, nil
		}
	}
}
