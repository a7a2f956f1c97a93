//go:build !linux

package shmring

import "errors"

type event int

func newEvent() (event, error) { return -1, errors.ErrUnsupported }

func (event) set() error   { return errors.ErrUnsupported }
func (event) clear() error { return errors.ErrUnsupported }
func (event) close() error { return errors.ErrUnsupported }
