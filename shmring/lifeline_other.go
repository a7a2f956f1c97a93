//go:build !linux

package shmring

import (
	"errors"
	"os"
)

func (lifeline) hold(int) error { return errors.ErrUnsupported }

func (lifeline) release(int) {}

func (lifeline) held(int) bool { return true }

func (lifeline) close() {}

func (lifeline) outlives() bool { return false }

func reopen(*os.File) (int, error) { return -1, errors.ErrUnsupported }

func openNamespace() (*os.File, uint64, error) { return nil, 0, errors.ErrUnsupported }

func openFile(*header) (*os.File, int64, error) { return nil, 0, errors.ErrUnsupported }

func clearData([]byte, *os.File, int64) {}

func (lifeline) exclude() (bool, error) { return false, errors.ErrUnsupported }

func (lifeline) admit() error { return errors.ErrUnsupported }
