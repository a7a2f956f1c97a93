package command

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// Interruptible returns a context that is done when somebody wants the program to end:
// at SIGINT, SIGTERM, SIGHUP, or one of more. Signals that are ignored, as nohup(1) has
// it, stay so.
func Interruptible(parent context.Context, more ...os.Signal) (context.Context, context.CancelFunc) {
	signals := slices.DeleteFunc(append(more, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP), signal.Ignored)
	if len(signals) == 0 { // NotifyContext would take all
		return context.WithCancel(parent)
	}
	return signal.NotifyContext(parent, signals...)
}
