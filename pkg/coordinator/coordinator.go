package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/lockstep-ml/lockstep/internal/secure"
	"github.com/lockstep-ml/lockstep/pkg/cluster"
	"github.com/lockstep-ml/lockstep/pkg/job"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

const (
	raftTimeout      = 2 * time.Second // of one message between nodes
	proposeTimeout   = 2 * time.Second // for Raft to accept a proposal
	barrierTimeout   = 5 * time.Second // for a new leader to apply what is committed
	drainTimeout     = time.Second     // for calls to end at shutdown
	snapshotsKept    = 2
	maxMessage       = 64 << 20 // bytes of one gRPC message
	keepaliveEvery   = 5 * time.Second
	keepaliveTimeout = 3 * time.Second
)

// Coordinator is one running node.
type Coordinator struct {
	conf    Config
	log     *zap.Logger
	fsm     *fsm
	store   *store
	mux     *mux
	trans   *raft.NetworkTransport
	raft    *raft.Raft
	server  *grpc.Server
	health  *health.Server
	dials   *dials
	leading atomic.Pointer[leader] // nil while this node does not lead

	stopping  context.Context // ends when the node begins to stop: long calls return
	stop      context.CancelFunc
	receivers sync.WaitGroup // the sessions' receiving goroutines

	// prepare checks what a user submits; see prepare in submit.go.
	prepare func(context.Context, *pb.SubmitRequest) (*cluster.Submit, error)
}

// Run is a coordinator from start to end: it works until ctx ends, hands
// leadership to another node if there is one, and stops. It returns an error if
// the configuration is wrong, or the storage or the listener fails.
func Run(ctx context.Context, conf Config) error {
	c, err := open(conf)
	if err != nil {
		return fmt.Errorf("coordinator: %w", err)
	}
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("coordinator: %w", err)
	}
	return nil
}

// open listens and opens the storage. The caller must call run.
func open(conf Config) (*Coordinator, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	conf = conf.withDefaults()
	c := &Coordinator{conf: conf, log: conf.Log.Named(conf.ID), fsm: newFSM()}
	c.prepare = func(ctx context.Context, r *pb.SubmitRequest) (*cluster.Submit, error) {
		return check(ctx, job.Reader{Kinds: conf.Kinds}, r, c.log)
	}
	c.stopping, c.stop = context.WithCancel(context.Background())
	creds, err := secure.DialOption(conf.Security)
	if err != nil {
		return nil, err
	}
	c.dials = newDials(creds)
	if c.store, err = openStore(conf.DataDir, conf.noSync); err != nil {
		return nil, err
	}
	if err := c.openTransport(); err != nil {
		return nil, errors.Join(err, c.store.close())
	}
	if err := c.openRaft(); err != nil {
		err = errors.Join(err, c.trans.Close())
		c.mux.close()
		return nil, errors.Join(err, c.store.close())
	}
	c.openServer()
	return c, nil
}

// openTransport listens, and divides the port between gRPC and Raft.
func (c *Coordinator) openTransport() error {
	listener := c.conf.Listener
	if listener != nil {
		c.conf.Listen = listener.Addr().String()
	}
	serverTLS, err := secure.ServerTLS(c.conf.Security, c.conf.Listen)
	if err != nil {
		return err
	}
	clientTLS, err := secure.ClientTLS(c.conf.Security)
	if err != nil {
		return err
	}
	if listener == nil {
		if listener, err = net.Listen("tcp", c.conf.Listen); err != nil {
			return err
		}
	}
	c.mux = newMux(listener, serverTLS, c.conf.Peers, c.log)
	c.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:  &streams{inbox: c.mux.raft, id: c.conf.ID, advertise: c.conf.Advertise, tls: clientTLS},
		MaxPool: 3, Timeout: raftTimeout, Logger: raftLogger(c.log),
		// One request after the other: with several under way, a leader that hears of a newer
		// term may wait for ever to send the next one, and raft.Shutdown for it.
		MaxRPCsInFlight:       1,
		ServerAddressProvider: peers(c.conf.Peers),
	})
	return nil
}

// peers are the addresses of the group's nodes by their ids, as the configuration
// has them. It gives them to Raft, for they may have changed since the group was
// founded: on all nodes, for those that have the new ones and those that have the
// old ones do not talk to each other.
type peers map[string]string

func (p peers) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if a, ok := p[string(id)]; ok {
		return raft.ServerAddress(a), nil
	}
	return "", fmt.Errorf("coordinator %s is not in the configuration", id)
}

func (c *Coordinator) openRaft() error {
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(c.conf.ID)
	conf.HeartbeatTimeout = c.conf.ElectionTimeout
	conf.ElectionTimeout = c.conf.ElectionTimeout
	conf.LeaderLeaseTimeout = c.conf.ElectionTimeout * 3 / 4
	conf.CommitTimeout = 20 * time.Millisecond
	conf.SnapshotInterval = 30 * time.Second
	conf.SnapshotThreshold = 2048
	conf.TrailingLogs = 1024
	conf.NoLegacyTelemetry = true
	conf.Logger = raftLogger(c.log)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(filepath.Clean(c.conf.DataDir), snapshotsKept, conf.Logger)
	if err != nil {
		return fmt.Errorf("snapshots in %s: %w", c.conf.DataDir, err)
	}
	if err := c.store.checkCommands(); err != nil {
		return fmt.Errorf("read %s: %w", c.conf.DataDir, err)
	}
	known, err := raft.HasExistingState(c.store, c.store, snapshots)
	if err != nil {
		return fmt.Errorf("read %s: %w", c.conf.DataDir, err)
	}
	if !known {
		var group raft.Configuration
		for _, id := range slices.Sorted(maps.Keys(c.conf.Peers)) { // the same on every node
			group.Servers = append(group.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(c.conf.Peers[id])})
		}
		if err := raft.BootstrapCluster(conf, c.store, c.store, snapshots, c.trans, group); err != nil {
			return fmt.Errorf("found the group: %w", err)
		}
	}
	if c.raft, err = raft.NewRaft(conf, c.fsm, c.store, c.store, snapshots, c.trans); err != nil {
		return fmt.Errorf("start Raft from %s: %w", c.conf.DataDir, err)
	}
	if err := c.checkGroup(); err != nil {
		return errors.Join(err, c.raft.Shutdown().Error())
	}
	c.store.waits.Store(true)
	return nil
}

// checkGroup refuses a data directory of another group than --peers says.
func (c *Coordinator) checkGroup() error {
	group := c.raft.GetConfiguration()
	if err := group.Error(); err != nil {
		return fmt.Errorf("read the group from %s: %w", c.conf.DataDir, err)
	}
	var founded []string
	for _, s := range group.Configuration().Servers {
		founded = append(founded, string(s.ID))
	}
	slices.Sort(founded)
	if given := slices.Sorted(maps.Keys(c.conf.Peers)); !slices.Equal(founded, given) {
		return fmt.Errorf("--data-dir %s belongs to the coordinators %s, --peers and --id say %s: correct them, or give a new directory for a new cluster",
			c.conf.DataDir, strings.Join(founded, ", "), strings.Join(given, ", "))
	}
	return nil
}

func (c *Coordinator) openServer() {
	c.server = grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveEvery, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(c.forwardUnary),
		grpc.ChainStreamInterceptor(c.forwardStream),
	)
	c.health = health.NewServer()
	grpc_health_v1.RegisterHealthServer(c.server, c.health)
	pb.RegisterJobsServer(c.server, &jobs{c: c})
	pb.RegisterSessionsServer(c.server, &sessions{c: c})
	reflection.Register(c.server)
}

// run serves until ctx ends, and closes everything.
func (c *Coordinator) run(ctx context.Context) error {
	c.log.Info("coordinator starts", zap.String("address", c.conf.Advertise), zap.Int("peers", len(c.conf.Peers)))
	g, ctx := errgroup.WithContext(ctx)
	leading, resign := context.WithCancel(context.Background())
	g.Go(c.mux.serve)
	g.Go(func() error {
		if err := c.server.Serve(c.mux.grpc); !errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
			return err
		}
		return nil
	})
	followed := make(chan struct{})
	g.Go(func() error {
		defer close(followed)
		c.follow(leading)
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return c.shutdown(resign, followed)
	})
	return g.Wait()
}

// shutdown hands on leadership, ends all calls and closes everything. Raft ends
// after the last one that may wait for its answer, for it leaves some unanswered
// when it ends; until then it answers within ElectionTimeout.
func (c *Coordinator) shutdown(resign context.CancelFunc, followed <-chan struct{}) error {
	c.health.Shutdown()
	if c.leading.Load() != nil && len(c.conf.Peers) > 1 {
		if err := c.raft.LeadershipTransfer().Error(); err != nil {
			c.log.Warn("leadership was not handed on: the others will elect", zap.Error(err))
		}
	}
	resign()
	c.stop()
	drained := time.AfterFunc(drainTimeout, c.server.Stop)
	c.server.GracefulStop()
	drained.Stop()
	c.receivers.Wait()
	select {
	case <-followed:
	case <-time.After(drainTimeout + c.conf.ElectionTimeout):
		c.log.Warn("leadership does not end: stopping all the same")
	}
	c.store.stop()
	err := c.raft.Shutdown().Error()
	c.trans.CloseStreams()
	err = errors.Join(err, c.trans.Close())
	c.mux.close()
	c.dials.close()
	err = errors.Join(err, c.store.close())
	c.log.Info("coordinator stopped", zap.Error(err))
	return err
}

// propose has Raft commit a command and returns the state machine's answer. The
// wait ends when the command is committed or this node no longer leads, which it
// notices within ElectionTimeout.
func (c *Coordinator) propose(op cluster.Op) (job string, err error) {
	data, err := cluster.Command{At: time.Now(), Node: c.conf.ID, Op: op}.Encode()
	if err != nil {
		return "", err
	}
	future := c.raft.Apply(data, proposeTimeout)
	if err := future.Error(); err != nil {
		return "", fmt.Errorf("%w: %w", errNotLeading, err)
	}
	answer := future.Response().(applied)
	return answer.job, answer.err
}

// leaderAddress returns the address of the leader as this node knows it; "" if there is none.
func (c *Coordinator) leaderAddress() string {
	address, id := c.raft.LeaderWithID()
	if a, ok := c.conf.Peers[string(id)]; ok {
		return a
	}
	return string(address)
}
