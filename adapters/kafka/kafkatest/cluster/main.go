// Command cluster runs a command beside a real Apache Kafka:
//
//	go run ./adapters/kafka/kafkatest/cluster -brokers 3 -- go test ./...
//
// The command finds the brokers' addresses, separated by commas, in
// PARLEY_TEST_KAFKA; its exit code becomes ours. Without a command the cluster
// runs until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/parley-im/parley/adapters/kafka/kafkatest"
)

func main() {
	brokers := flag.Int("brokers", 3, "how many brokers to start, 1 to 9")
	flag.Parse()
	code, err := run(*brokers, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run(brokers int, command []string) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	cluster, err := kafkatest.Start(ctx, brokers, os.Stderr)
	if err != nil {
		return 1, err
	}
	defer func() {
		if closeErr := cluster.Close(); closeErr != nil && err == nil {
			code, err = 1, closeErr
		}
	}()
	variable := "PARLEY_TEST_KAFKA=" + strings.Join(cluster.Brokers(), ",")
	fmt.Fprintf(os.Stderr, "Apache Kafka with %d brokers is up after %v\n", brokers, time.Since(began).Round(100*time.Millisecond))
	fmt.Println(variable)
	if len(command) == 0 {
		<-ctx.Done()
		return 0, nil
	}

	// On a signal the command is asked to end as well, and the brokers stay
	// until it has.
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Env = append(os.Environ(), variable)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(1, exit.ExitCode()), nil // -1: ended by a signal
	}
	if err != nil {
		return 1, fmt.Errorf("running %s: %w", command[0], err)
	}
	return 0, nil
}
