//go:build !linux

package inventory

import (
	"errors"

	"github.com/sysvipc/gipc/cmd/internal/ref"
)

// Collect is not supported outside Linux.
func Collect(Options) (*Inventory, error) { return nil, errors.ErrUnsupported }

// Namespaces is not supported outside Linux.
func Namespaces(string) ([]Namespace, Hidden, error) { return nil, Hidden{}, errors.ErrUnsupported }

// NamespaceAt is not supported outside Linux.
func NamespaceAt(string) (Namespace, error) { return Namespace{}, errors.ErrUnsupported }

// Do is not supported outside Linux.
func (n Namespace) Do(func() error) error { return errors.ErrUnsupported }

// Opened is not supported outside Linux.
func Opened(ref.Object) (is, known bool) { return false, false }
