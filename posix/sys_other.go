//go:build !linux

package posix

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

func openFile(string, Access) (*os.File, error) { return nil, errors.ErrUnsupported }

func unnamedFile(string, fs.FileMode) (*os.File, error)          { return nil, errors.ErrUnsupported }
func linkFile(*os.File, string) error                            { return errors.ErrUnsupported }
func unlinkFile(string) error                                    { return errors.ErrUnsupported }
func reserve(*os.File, int64) error                              { return errors.ErrUnsupported }
func memfdCreate(string, *MemfdOptions) (*os.File, error)        { return nil, errors.ErrUnsupported }
func addSeals(*os.File, Seals) error                             { return errors.ErrUnsupported }
func getSeals(*os.File) (Seals, error)                           { return 0, errors.ErrUnsupported }
func inheritFile(int, string) (*os.File, error)                  { return nil, errors.ErrUnsupported }
func sendFile(syscall.Conn, *os.File) error                      { return errors.ErrUnsupported }
func receiveFile(syscall.Conn, string) (*os.File, error)         { return nil, errors.ErrUnsupported }
func mmapFile(*os.File, int, *MapOptions) (uintptr, error)       { return 0, errors.ErrUnsupported }
func mmapAnonymous(int, *AnonymousOptions) (uintptr, int, error) { return 0, 0, errors.ErrUnsupported }
func pageSize(*os.File) (int, error)                             { return 0, errors.ErrUnsupported }
func descriptorsLeft() bool                                      { return true }
func queueBytes() uint64                                         { return 0 }
func munmap([]byte) error                                        { return errors.ErrUnsupported }
func replace([]byte) error                                       { return errors.ErrUnsupported }
func mprotect([]byte, Prot) error                                { return errors.ErrUnsupported }
func msync([]byte, SyncFlags) error                              { return errors.ErrUnsupported }
func mlock([]byte) error                                         { return errors.ErrUnsupported }
func munlock([]byte) error                                       { return errors.ErrUnsupported }
func fileInfo(name string, info fs.FileInfo) FileInfo            { return FileInfo{Name: name, Size: info.Size()} }

func lstat(string) (fs.FileInfo, error)     { return nil, errors.ErrUnsupported }
func readDir(string) ([]fs.DirEntry, error) { return nil, errors.ErrUnsupported }
func readFile(string) ([]byte, error)       { return nil, errors.ErrUnsupported }
func statfs(string) (Usage, error)          { return Usage{}, errors.ErrUnsupported }
func checkQueueDir() error                  { return errors.ErrUnsupported }
