// Package extratest has what the tests of several programs need.
package extratest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Serve starts a NATS server in this process, which ends with the test. Nil options mean the
// zero value. The port is a random one unless they name it.
func Serve(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	if o == nil {
		o = &server.Options{}
	}
	o.Host, o.NoSigs, o.NoLog = "127.0.0.1", true, true
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	return s
}
