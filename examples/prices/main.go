// Prices is a service that many programs on a machine can call at the same time.
//
//	$ go run ./examples/prices serve             # in one terminal
//	$ go run ./examples/prices ask tea rice oil  # in others, as many as you like
//	tea: 340
//	rice: 180
//	oil: prices: there is no oil
//
// Each question is answered within a second, or fails with the reason. Kill the server and
// start another one: a question that waits for a server goes to the new one. A caller gets
// an error only if the old server was answering its question. The service stays until
// "prices remove".
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sysvipc/gipc/shmring"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "prices:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) == 0 || args[0] != "ask" && len(args) > 1 {
		return errors.New("usage: prices serve | ask ITEM... | remove")
	}
	service, err := shmring.OpenOrCreateService(ctx, "/gipc-example-prices", shmring.ServiceLimits{}, &shmring.NamedOptions{Outlive: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	switch args[0] {
	case "serve":
		return serve(ctx, service)
	case "ask":
		return ask(ctx, service, args[1:])
	case "remove":
		return service.Remove()
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func serve(ctx context.Context, service *shmring.Service) (err error) {
	server, err := service.JoinServer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	fmt.Println("serving")
	prices := map[string]int{"tea": 340, "rice": 180, "salt": 90}
	return server.Serve(ctx, func(_ context.Context, item []byte) ([]byte, error) {
		price, ok := prices[string(item)]
		if !ok {
			return nil, fmt.Errorf("prices: there is no %s", item)
		}
		return fmt.Append(nil, price), nil
	})
}

func ask(ctx context.Context, service *shmring.Service, items []string) (err error) {
	client, err := service.JoinClient()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	answers := make([]string, len(items))
	var asking sync.WaitGroup
	for i, item := range items {
		asking.Go(func() {
			price, err := client.Call(ctx, []byte(item))
			if answers[i] = string(price); err != nil {
				answers[i] = err.Error()
			}
		})
	}
	asking.Wait()
	for i, item := range items {
		fmt.Printf("%s: %s\n", item, answers[i])
	}
	return nil
}
