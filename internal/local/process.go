package local

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Process is one coordinator or worker.
type Process struct {
	// Name is "c1", "c2", … for coordinators, "w1", … for workers.
	Name string
	// Address is where it listens, host:port.
	Address string
	// Log is the path of the file with what it printed.
	Log string

	cmd   *exec.Cmd
	stdin io.Closer     // the process lives until this is closed
	done  chan struct{} // closed when it has ended
}

// launch starts a process and a goroutine that waits for it.
func (c *Cluster) launch(name, address string, args, env []string) error {
	p := &Process{Name: name, Address: address, Log: filepath.Join(c.config.Dir, "logs", name+".log"), done: make(chan struct{})}
	p.cmd = exec.Command(c.config.Program, append(args, "--until-eof", "--log-format", "text")...)
	p.cmd.Env = slices.Concat(inherited(os.Environ()), c.config.Env, env)
	p.cmd.SysProcAttr = ownGroup()
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("log of %s: %w", name, err)
	}
	defer log.Close() // the process has its own copy
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return fmt.Errorf("%s: the cluster is being stopped", name)
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.processes = append(c.processes, p)
	go c.await(p)
	return nil
}

// inherited drops the settings that were meant for this program: a process
// would take them for its own flags.
func inherited(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "LOCKSTEP_") && name != "LOCKSTEP_ISA" && name != "LOCKSTEP_LOG_LEVEL"
	})
}

// await reports p if it ends while the cluster is meant to run.
func (c *Cluster) await(p *Process) {
	err := p.cmd.Wait()
	close(p.done)
	c.mu.Lock()
	stopping := c.stopping
	c.mu.Unlock()
	if !stopping {
		select {
		case c.exits <- p.obituary(err):
		default: // nobody listens; the log still tells
		}
	}
}

// obituary says how the process ended. Its last words tell why, unless someone
// killed it.
func (p *Process) obituary(err error) error {
	switch code := p.cmd.ProcessState.ExitCode(); {
	case err == nil:
		return fmt.Errorf("%s ended by itself: exit status 0", p.Name)
	case code < 0:
		return fmt.Errorf("%s ended by itself: %w", p.Name, err)
	}
	return fmt.Errorf("%s ended by itself: %w%s", p.Name, err, tail(p.Log))
}

// Pid is the number the operating system gave the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the process at once, as kill -9 does, and waits for it.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.done
	return err
}

// stop closes the input of the process and kills it if that does not help
// within the grace period.
func (p *Process) stop(grace time.Duration) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.stdin.Close(); err != nil {
		return fmt.Errorf("stopping %s: %w", p.Name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
		if err := p.Kill(); err != nil {
			return fmt.Errorf("%s did not stop within %s, and killing it failed: %w", p.Name, grace, err)
		}
		return nil
	}
}

// tail returns the last lines of a log, ready to stand behind a message.
func tail(path string) string {
	const lines, most = 5, 4096
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, most))
	text = bytes.TrimSpace(text)
	if err != nil || len(text) == 0 {
		return ""
	}
	all := bytes.Split(text, []byte("\n"))
	return "\n  " + string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n  ")))
}
