package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// maxFound is how many agents Discover hears.
const maxFound = 100_000

// A Found is what Discover heard.
type Found struct {
	Hosts []string // sorted
	Twice []string // hosts for which more than one agent answered, sorted
}

// Discover asks which agents there are, and returns the hosts that answer within wait. What
// it hears is a hint: the holder of any agent's login can claim to be there.
func Discover(ctx context.Context, conn *nats.Conn, wait time.Duration) (Found, error) {
	subject, err := micro.ControlSubject(micro.PingVerb, Service, "")
	if err != nil {
		return Found{}, err
	}
	ctx, stop := context.WithTimeout(ctx, wait)
	defer stop()
	inbox := conn.NewInbox()
	sub, err := conn.SubscribeSync(inbox)
	if err != nil {
		return Found{}, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails if the connection is closed
	if err := conn.PublishRequest(subject, inbox, nil); err != nil {
		return Found{}, err
	}
	agents := make(map[string]string) // hosts by the ids of agents
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrNoResponders):
			return found(agents), nil
		case err != nil:
			return Found{}, err
		}
		var ping micro.Ping
		if json.Unmarshal(msg.Data, &ping) != nil || ping.Name != Service || CheckHost(ping.Metadata["host"]) != nil {
			continue
		}
		if agents[ping.ID] = ping.Metadata["host"]; len(agents) > maxFound {
			return Found{}, fmt.Errorf("more than %d agents answer; name the hosts with --hosts", maxFound)
		}
	}
}

func found(agents map[string]string) (f Found) {
	all := slices.Sorted(maps.Values(agents))
	for i, host := range all {
		if i > 0 && all[i-1] == host {
			f.Twice = append(f.Twice, host)
		}
	}
	f.Hosts, f.Twice = slices.Compact(all), slices.Compact(f.Twice)
	return f
}
