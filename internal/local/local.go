// Package local runs a whole cluster on this machine: coordinators and workers
// as processes of their own, on loopback, each the running program again with
// another subcommand.
//
// # Life of a process
//
// A process holds the reading end of a pipe as its standard input and lives
// until that is closed (flag --until-eof). The writing end is here. So one
// mechanism stops a process in good order and when this program dies in any
// way, on every operating system. One that does not go within a grace period is
// killed. A process that ends by itself is reported, never restarted: a cluster
// shall bear it.
//
// Processes stand outside the terminal's foreground group. Ctrl-C reaches this
// program alone, which then stops them.
package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// startTimeout is how long the cluster may take to get ready.
	startTimeout = 30 * time.Second
	// stopGrace is the default of Config.StopGrace.
	stopGrace = 10 * time.Second
	// workerPort is how far above the first coordinator's port the workers' begin.
	workerPort = 100
)

// Config says what to start.
type Config struct {
	// Program is the path of the binary, usually os.Executable.
	Program string
	// Coordinators and Workers count the processes of each kind. Coordinators
	// must be odd: an even group bears no more failures than one less.
	Coordinators, Workers int
	// Threads is for each worker; 0 shares the machine's cores among the workers.
	Threads int
	// Port is the first coordinator's port, the next ones follow; workers begin
	// 100 above. 0 takes any free ports.
	Port int
	// Dir gets data and logs. Empty means a temporary directory that Stop removes.
	Dir string
	// Env is added to this program's environment.
	Env []string
	// WorkerArgs are further arguments of every worker.
	WorkerArgs []string
	// StopGrace is how long a process may take to end in good order before it is
	// killed; 0 means 10 seconds.
	StopGrace time.Duration
	// Ready returns nil once the coordinators have a leader and see all workers.
	// Start calls it, again and again, each time with a deadline of a second.
	Ready func(ctx context.Context, coordinators []string, workers int) error
}

// Validate reports all that is wrong with the numbers.
func (c Config) Validate() error {
	var errs []error
	if c.Coordinators < 1 || c.Coordinators%2 == 0 {
		errs = append(errs, fmt.Errorf("coordinators %d: expected an odd number, say 1 or 3", c.Coordinators))
	}
	if c.Workers < 0 || c.Workers >= workerPort || c.Coordinators >= workerPort {
		errs = append(errs, fmt.Errorf("coordinators %d, workers %d: expected less than %d of each", c.Coordinators, c.Workers, workerPort))
	}
	if c.Threads < 0 {
		errs = append(errs, fmt.Errorf("threads %d: expected 0 or more", c.Threads))
	}
	if c.Port < 0 || c.Port+2*workerPort > 65535 {
		errs = append(errs, fmt.Errorf("port %d: expected 0 to %d", c.Port, 65535-2*workerPort))
	}
	return errors.Join(errs...)
}

// Cluster is a set of running processes. Its methods may be called from any
// goroutine.
type Cluster struct {
	config    Config
	addresses []string // the coordinators'
	exits     chan error

	mu        sync.Mutex // guards what follows
	processes []*Process
	stopping  bool
	temporary bool // config.Dir is ours to remove
}

// Start starts the processes and waits until the cluster is ready. After an
// error nothing runs any more; the error tells the last lines of the log of a
// process that ended.
func Start(ctx context.Context, config Config) (*Cluster, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.StopGrace == 0 {
		config.StopGrace = stopGrace
	}
	c := &Cluster{config: config, exits: make(chan error, 2*workerPort)}
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) makeDir() (err error) {
	if c.config.Dir == "" {
		c.temporary = true
		if c.config.Dir, err = os.MkdirTemp("", "lockstep-"); err != nil {
			return fmt.Errorf("directory of the cluster: %w", err)
		}
	}
	if c.config.Dir, err = filepath.Abs(c.config.Dir); err != nil {
		return fmt.Errorf("directory of the cluster: %w", err)
	}
	return os.MkdirAll(filepath.Join(c.config.Dir, "logs"), 0o755)
}

func (c *Cluster) start(ctx context.Context) error {
	addresses, err := c.ports()
	if err != nil {
		return err
	}
	var peers []string
	for i := range c.config.Coordinators {
		c.addresses = append(c.addresses, addresses[i])
		peers = append(peers, fmt.Sprintf("c%d=%s", i+1, addresses[i]))
	}
	for i, address := range c.addresses {
		name := fmt.Sprintf("c%d", i+1)
		args := []string{"coordinator", "--id", name, "--listen", address, "--data-dir", filepath.Join(c.config.Dir, name)}
		if len(peers) > 1 {
			args = append(args, "--peers", strings.Join(peers, ","))
		}
		if err := c.launch(name, address, args, nil); err != nil {
			return err
		}
	}
	for i, address := range addresses[c.config.Coordinators:] {
		if err := c.startWorker(fmt.Sprintf("w%d", i+1), address, nil); err != nil {
			return err
		}
	}
	return c.WaitReady(ctx, c.config.Workers)
}

// AddWorker starts one more worker, with env added to its environment. It does
// not wait until the cluster sees it.
func (c *Cluster) AddWorker(env ...string) (*Process, error) {
	addresses, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	n := 1
	for _, p := range c.Processes() {
		if strings.HasPrefix(p.Name, "w") {
			n++
		}
	}
	name := fmt.Sprintf("w%d", n)
	if err := c.startWorker(name, addresses[0], env); err != nil {
		return nil, err
	}
	return c.Process(name), nil
}

func (c *Cluster) startWorker(name, address string, env []string) error {
	threads := c.config.Threads
	if threads == 0 {
		threads = max(1, runtime.NumCPU()/max(1, c.config.Workers))
	}
	args := append([]string{"worker", "--id", name, "--listen", address, "--coordinators", strings.Join(c.addresses, ","),
		"--threads", strconv.Itoa(threads), "--data-dir", filepath.Join(c.config.Dir, name)}, c.config.WorkerArgs...)
	return c.launch(name, address, args, env)
}

// WaitReady waits until the cluster is ready with that many workers, for at
// most 30 seconds. It gives up as soon as a process ends.
func (c *Cluster) WaitReady(ctx context.Context, workers int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		try, cancelTry := context.WithTimeout(ctx, time.Second)
		err := c.config.Ready(try, c.addresses, workers)
		cancelTry()
		if err == nil {
			return nil
		}
		select {
		case exit := <-c.exits:
			return exit
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("cluster not ready within %s: %w", startTimeout, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Coordinators returns the addresses of the coordinators.
func (c *Cluster) Coordinators() []string { return c.addresses }

// Dir returns the directory of data and logs.
func (c *Cluster) Dir() string { return c.config.Dir }

// Exits tells of each process that ended by itself, with its last log lines.
func (c *Cluster) Exits() <-chan error { return c.exits }

// Processes returns all processes that were started, coordinators first.
func (c *Cluster) Processes() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Process(nil), c.processes...)
}

// Process returns the process of that name, say "w1", or nil.
func (c *Cluster) Process(name string) *Process {
	for _, p := range c.Processes() {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Alive counts the coordinators and workers that have not ended.
func (c *Cluster) Alive() (coordinators, workers int) {
	for _, p := range c.Processes() {
		select {
		case <-p.Done():
			continue
		default:
		}
		if strings.HasPrefix(p.Name, "c") {
			coordinators++
		} else {
			workers++
		}
	}
	return coordinators, workers
}

// Keep lets the directory stay after Stop if it is a temporary one.
func (c *Cluster) Keep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.temporary = false
}

// Stop ends all processes, workers before coordinators, waits for them and
// removes the directory if it is a temporary one and not kept. It may be called
// again.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	c.stopping = true
	c.mu.Unlock()
	var errs []error
	for _, kind := range []string{"w", "c"} {
		var g errgroup.Group
		for _, p := range c.Processes() {
			if strings.HasPrefix(p.Name, kind) {
				g.Go(func() error { return p.stop(c.config.StopGrace) })
			}
		}
		errs = append(errs, g.Wait())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.temporary {
		errs = append(errs, os.RemoveAll(c.config.Dir))
	}
	return errors.Join(errs...)
}

// ports returns an address for each process, coordinators first.
func (c *Cluster) ports() ([]string, error) {
	if c.config.Port == 0 {
		return freePorts(c.config.Coordinators + c.config.Workers)
	}
	var addresses []string
	for i := range c.config.Coordinators {
		addresses = append(addresses, loopback(c.config.Port+i))
	}
	for i := range c.config.Workers {
		addresses = append(addresses, loopback(c.config.Port+workerPort+i))
	}
	for _, a := range addresses {
		l, err := net.Listen("tcp", a)
		if err != nil {
			return nil, fmt.Errorf("%w; stop what listens there or choose another --port", err)
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	return addresses, nil
}

// freePorts finds n ports that are free now. Another program may take one
// before it is used; the process then ends and says so.
func freePorts(n int) ([]string, error) {
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", loopback(0))
		if err != nil {
			return nil, fmt.Errorf("free port: %w", err)
		}
		defer l.Close() // held until all are found, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
