package explain

// explained is an error whose text is a sentence already.
type explained struct {
	error
	sentence string
}

func (e explained) Error() string { return e.sentence }

func (e explained) Unwrap() error { return e.error }

// As returns an error that wraps err and has the sentence as its text.
func As(err error, sentence string) error { return explained{err, sentence} }

// Now looks up the sentence for err at once, not when err is reported. Call it if the
// object will have changed by then. It returns nil for nil.
func Now(err error) error {
	if err == nil {
		return nil
	}
	return As(err, Error(err))
}
