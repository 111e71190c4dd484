package worker

import (
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/internal/secure"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Config says how a worker runs. The zero value of a duration stands for its
// default.
type Config struct {
	// ID names the worker in the cluster. It must be unique, and stay the same
	// when the worker restarts.
	ID string
	// Coordinators are host:port of some or all coordinators; any that answers
	// names the leader.
	Coordinators []string
	// Listen is host:port to serve other workers at; port 0 takes a free one.
	Listen string
	// Advertise is host:port at which others reach Listen. Empty: the address
	// that was listened on.
	Advertise string
	// DataDir is where checkpoints and models are kept. No two workers may share
	// it.
	DataDir string
	// Threads is the number of threads of the tensor engine; 0: GOMAXPROCS.
	Threads int
	// ISA forces the kernels: "avx512", "avx2" or "portable". Empty: the best
	// that this machine has.
	ISA string
	// Audit is a file to which the records of every step are appended (see
	// audit); empty: none. It costs a write a lane and step.
	Audit string
	// Kinds are layers and recipes that jobs may name beside the catalogue's. All
	// programs of a cluster must have the same.
	Kinds nn.Kinds
	// Secure is how this worker and the others trust each other.
	Secure secure.Config

	// ConnectTimeout bounds the wait until a neighbour of a new ring is reached, and for
	// a coordinator to answer. Default 10 s and at most 3 s, respectively.
	ConnectTimeout time.Duration
	// StepTimeout is the longest wait for a neighbour within a step: for the
	// slowest worker to compute a step, and to copy a state at the beginning. A
	// worker that is lost is noticed long before. Default 60 s.
	StepTimeout time.Duration

	// Log receives what happens. Nil: nothing is logged.
	Log *zap.Logger
	// Ready, if not nil, is called once with the address that others are told,
	// when the worker serves.
	Ready func(address string)
}

func (c Config) withDefaults() Config {
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	if c.StepTimeout <= 0 {
		c.StepTimeout = time.Minute
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

// Validate reports all that is wrong.
func (c Config) Validate() error {
	var errs []error
	if c.ID == "" {
		errs = append(errs, errors.New("--id is missing: a name that no other worker has, say w1"))
	}
	if len(c.Coordinators) == 0 {
		errs = append(errs, errors.New("--coordinators is missing: host:port of one or more coordinators"))
	}
	for _, a := range c.Coordinators {
		if _, _, err := net.SplitHostPort(a); err != nil {
			errs = append(errs, fmt.Errorf("--coordinators %q: expected host:port", a))
		}
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("--listen %q: expected host:port", c.Listen))
	}
	if c.Advertise != "" {
		if _, _, err := net.SplitHostPort(c.Advertise); err != nil {
			errs = append(errs, fmt.Errorf("--advertise %q: expected host:port", c.Advertise))
		}
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("--data-dir is missing: a directory for checkpoints and models, of this worker alone"))
	}
	if c.Threads < 0 {
		errs = append(errs, fmt.Errorf("--threads %d: must be 0 (all cores) or more", c.Threads))
	}
	errs = append(errs, c.Secure.Validate())
	return errors.Join(errs...)
}

// advertised returns the address that others are told, given the one that is
// listened on.
func (c Config) advertised(listening net.Addr) (string, error) {
	if c.Advertise != "" {
		return c.Advertise, nil
	}
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return "", fmt.Errorf("--listen: %w", err)
	}
	if configured, _, err := net.SplitHostPort(c.Listen); err == nil && configured != "" {
		host = configured
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return "", fmt.Errorf("--listen %s takes calls on every address of this machine: say with --advertise host:port which one others shall call", c.Listen)
	}
	return net.JoinHostPort(host, port), nil
}
