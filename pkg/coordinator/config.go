package coordinator

import (
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/internal/secure"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Config is what a coordinator needs to know. Zero durations mean the default.
type Config struct {
	// ID is the node's name in the group. It must not change while DataDir lives.
	ID string
	// Listen is host:port to listen at, for gRPC and Raft.
	Listen string
	// Advertise is host:port at which others reach this node; "" means Listen.
	Advertise string
	// Peers maps the ids of all coordinators, this one included, to their
	// advertised addresses; empty means a group of one. It must be the same on
	// all nodes, and the set of ids is fixed at the first start.
	Peers map[string]string
	// DataDir holds the Raft log and snapshots.
	DataDir string
	// Kinds are layers and recipes that jobs may name beside the catalogue's. All
	// programs of a cluster must have the same.
	Kinds nn.Kinds
	// Security says who may connect.
	Security secure.Config
	// Log receives structured logs; nil means none.
	Log *zap.Logger

	// ElectionTimeout is how long followers wait for a leader before they elect
	// another; 400ms. Together with the election itself it bounds failover.
	ElectionTimeout time.Duration
	// HeartbeatInterval is how often workers say that they are alive; 500ms.
	HeartbeatInterval time.Duration
	// WorkerTTL is how long a worker outlives its last message; 3s. It must be at
	// least three heartbeats, so that one late packet costs no worker.
	WorkerTTL time.Duration
	// ReconnectGrace is how long a worker whose stream broke may take to come
	// back before it is lost; 500ms.
	ReconnectGrace time.Duration
	// SubmitTimeout bounds the checking of a job's data; 10m.
	SubmitTimeout time.Duration
	// StallTimeout is how long a generation may report nothing before it is
	// given up; 2m. It doubles with every attempt that got no further.
	StallTimeout time.Duration

	// Listener, if not nil, is used in place of listening at Listen.
	Listener net.Listener

	noSync bool // for tests: do not wait for the disk; a crash of the machine loses the log
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.ElectionTimeout, 400*time.Millisecond)
	def(&c.HeartbeatInterval, 500*time.Millisecond)
	def(&c.WorkerTTL, 3*time.Second)
	def(&c.ReconnectGrace, 500*time.Millisecond)
	def(&c.SubmitTimeout, 10*time.Minute)
	def(&c.StallTimeout, 2*time.Minute)
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Advertise == "" {
		c.Advertise = c.Peers[c.ID]
	}
	if c.Advertise == "" && c.Listener != nil {
		c.Advertise = c.Listener.Addr().String()
	}
	if c.Advertise == "" {
		c.Advertise = c.Listen
	}
	if len(c.Peers) == 0 {
		c.Peers = map[string]string{c.ID: c.Advertise}
	}
	return c
}

// Validate reports all that is wrong with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.ID == "" {
		bad("--id is missing: give the coordinator a name, for example c1")
	}
	if c.DataDir == "" {
		bad("--data-dir is missing: the coordinator keeps its log there")
	}
	if c.Listen == "" && c.Listener == nil {
		bad("--listen is missing: give host:port")
	}
	if host, _, err := net.SplitHostPort(c.Advertise); err != nil {
		bad("--advertise %q: give host:port", c.Advertise)
	} else if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		bad("--advertise %q: others cannot connect to that; give the host's name or address", c.Advertise)
	}
	for id, address := range c.Peers {
		if _, _, err := net.SplitHostPort(address); id == "" || err != nil {
			bad("--peers %s=%s: give id=host:port", id, address)
		}
	}
	if own, ok := c.Peers[c.ID]; !ok {
		bad("--peers does not list %q: it must name every coordinator, this one included", c.ID)
	} else if own != c.Advertise {
		bad("--peers says %s=%s, --advertise says %s: they must agree", c.ID, own, c.Advertise)
	} else if n := len(peerName(c.ID, own)); len(c.Peers) > 1 && n > maxName {
		bad("--id and the address take %d bytes together: at most %d", n, maxName)
	}
	if least := 3 * c.HeartbeatInterval; c.WorkerTTL < least {
		bad("--worker-ttl %s: must be at least %s, three heartbeats", c.WorkerTTL, least)
	}
	if c.ElectionTimeout < 50*time.Millisecond {
		bad("ElectionTimeout %s: must be at least 50ms", c.ElectionTimeout)
	}
	return errors.Join(append(errs, c.Security.Validate())...)
}
