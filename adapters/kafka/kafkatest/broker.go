package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stopBound is how long a broker may take to hand over and end.
const stopBound = 30 * time.Second

// broker is one node, broker and controller in one, running or not.
type broker struct {
	id         int // node.id, from 1
	address    string
	controller string
	side       string // a second address for clients
	advertised string // what clients that come to side are told; side itself unless something stands before it
	dir        string // its properties, data and log

	process *process // nil when it does not run
}

func (b *broker) data() string       { return filepath.Join(b.dir, "data") }
func (b *broker) properties() string { return filepath.Join(b.dir, "server.properties") }
func (b *broker) log() string        { return filepath.Join(b.dir, "broker.log") }

// configure writes the node's properties: the durable settings a real cluster
// would have, small in memory, and quick to notice a dead node.
func (b *broker) configure(nodes []*broker) error {
	voters := make([]string, len(nodes))
	for i, n := range nodes {
		voters[i] = fmt.Sprintf("%d@%s", n.id, n.controller)
	}
	replicas := min(3, len(nodes))
	inSync := min(2, replicas)
	lines := []string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", b.id),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		"listeners=PLAINTEXT://" + b.address + ",SIDE://" + b.side + ",CONTROLLER://" + b.controller,
		"advertised.listeners=PLAINTEXT://" + b.address + ",SIDE://" + b.advertised,
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"controller.listener.names=CONTROLLER",
		"inter.broker.listener.name=PLAINTEXT",
		"log.dirs=" + b.data(),

		fmt.Sprintf("default.replication.factor=%d", replicas),
		fmt.Sprintf("min.insync.replicas=%d", inSync),
		fmt.Sprintf("offsets.topic.replication.factor=%d", replicas),
		fmt.Sprintf("transaction.state.log.replication.factor=%d", replicas),
		fmt.Sprintf("transaction.state.log.min.isr=%d", inSync),
		"unclean.leader.election.enable=false",
		"auto.create.topics.enable=false",
		"auto.leader.rebalance.enable=true",
		"leader.imbalance.check.interval.seconds=10",

		// A killed node is noticed in 3 s instead of 9.
		"broker.heartbeat.interval.ms=500",
		"broker.session.timeout.ms=3000",
		"controller.quorum.election.timeout.ms=500",
		"controller.quorum.fetch.timeout.ms=1000",
		"replica.lag.time.max.ms=5000",
		"replica.fetch.wait.max.ms=100",
		"replica.fetch.backoff.ms=200",
		"group.initial.rebalance.delay.ms=0",
		"group.min.session.timeout.ms=1000",

		// The cleaner's default buffer alone is half of our heap.
		"log.cleaner.dedupe.buffer.size=4194304",
		"log.index.size.max.bytes=1048576",
		"offsets.topic.num.partitions=8",
		"transaction.state.log.num.partitions=2",
		"num.network.threads=2",
		"num.io.threads=4",
		"num.replica.fetchers=1",
		"background.threads=2",
		"log.retention.check.interval.ms=5000",
		"log.cleaner.backoff.ms=1000",
		"log.segment.delete.delay.ms=1000",
	}
	if err := os.MkdirAll(b.data(), 0o755); err != nil {
		return fmt.Errorf("making the folder of broker %d: %w", b.id, err)
	}
	if err := os.WriteFile(b.properties(), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("configuring broker %d: %w", b.id, err)
	}
	return nil
}

// run starts the broker's process.
func (b *broker) run(d distribution) error {
	if b.process != nil {
		return fmt.Errorf("broker %d runs already", b.id)
	}
	args := d.arguments(256)
	if d.record != "" {
		args = append(args, "-XX:ArchiveClassesAtExit="+d.record)
	}
	p, err := startProcess(b.log(), d.java, append(args, "kafka.Kafka", b.properties())...)
	if err != nil {
		return fmt.Errorf("starting broker %d: %w", b.id, err)
	}
	b.process = p
	return nil
}

// end signals the broker and waits for its end; one that does not obey in time
// is killed, which is an error.
func (b *broker) end(ctx context.Context, sig syscall.Signal) error {
	if b.process == nil {
		return fmt.Errorf("broker %d does not run", b.id)
	}
	p := b.process
	b.process = nil
	p.signal(sig)
	timer := time.NewTimer(stopBound)
	defer timer.Stop()
	var late error
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		late = ctx.Err()
	case <-timer.C:
		late = errors.New("it takes too long")
	}
	p.signal(syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("stopping broker %d: %w: killed", b.id, late)
}

// tail returns the last lines of the broker's log.
func (b *broker) tail() string {
	text, err := os.ReadFile(b.log())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// arguments are those of a small, quickly started java with Kafka's jars.
func (d distribution) arguments(heapMiB int) []string {
	args := []string{
		fmt.Sprintf("-Xmx%dm", heapMiB),
		"-XX:+UseSerialGC",
		"-XX:TieredStopAtLevel=1", // compile soon rather than well
		"-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Djava.awt.headless=true",
		"-cp", filepath.Join(d.libs, "*"),
	}
	if d.archive != "" {
		// One that does not fit is ignored.
		args = append(args, "-XX:SharedArchiveFile="+d.archive, "-Xshare:auto")
	}
	return args
}

// process is a child that dies with us.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; read after done
}

// startProcess starts a program with its output in a file. On Linux the kernel
// kills it when this process dies. It binds that to the thread that made the
// child, so a thread is kept for the child's whole life.
func startProcess(log, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	// No context ends it: signals do.
	cmd := exec.CommandContext(context.Background(), program, args...)
	cmd.Dir = filepath.Dir(log)
	cmd.Stdout, cmd.Stderr = out, out
	// Its own process group: Ctrl-C reaches the tests first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	setDeathSignal(cmd.SysProcAttr)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := cmd.Start()
		err = errors.Join(err, out.Close())
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) signal(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig) // os.ErrProcessDone: it ended by itself
}
