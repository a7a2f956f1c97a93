//go:build !linux

package inventory

import "errors"

// Collect is not supported outside Linux.
func Collect(Options) (*Inventory, error) { return nil, errors.ErrUnsupported }

// Namespaces is not supported outside Linux.
func Namespaces(string) ([]Namespace, Hidden, error) { return nil, Hidden{}, errors.ErrUnsupported }

// NamespaceAt is not supported outside Linux.
func NamespaceAt(string) (Namespace, error) { return Namespace{}, errors.ErrUnsupported }

// Do is not supported outside Linux.
func (n Namespace) Do(func() error) error { return errors.ErrUnsupported }
