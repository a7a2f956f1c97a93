package command

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// Interruptible returns a context that ends at SIGINT, SIGTERM, SIGHUP or one of more.
// Signals that are ignored, as nohup(1) sets up, stay ignored.
func Interruptible(parent context.Context, more ...os.Signal) (context.Context, context.CancelFunc) {
	signals := slices.DeleteFunc(append(more, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP), signal.Ignored)
	if len(signals) == 0 { // NotifyContext would take every signal
		return context.WithCancel(parent)
	}
	return signal.NotifyContext(parent, signals...)
}
