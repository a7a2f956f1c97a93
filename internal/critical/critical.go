// Package critical runs functions under a lock that tells its next holder if the last one
// died.
package critical

import "errors"

// Run calls f, which the caller's lock protects. Then it calls one of three functions that
// unlock: clean if f returned nil, failed if it returned an error, and panicked if it did
// not return. It returns the errors of f and of that function.
func Run(f, clean, failed, panicked func() error) error {
	returned := false
	defer func() {
		if !returned {
			_ = panicked()
		}
	}()
	err := f()
	returned = true
	if err == nil {
		return clean()
	}
	return Join(err, failed())
}

// Join is errors.Join, but returns a single error as it is.
func Join(err, second error) error {
	switch {
	case err == nil:
		return second
	case second == nil:
		return err
	}
	return errors.Join(err, second)
}
