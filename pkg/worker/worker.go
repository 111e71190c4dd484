package worker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/lockstep-ml/lockstep/internal/build"
	"github.com/lockstep-ml/lockstep/internal/secure"
	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// welcomeTimeout is the longest wait for a coordinator to answer, if
// Config.ConnectTimeout is longer.
const welcomeTimeout = 3 * time.Second

// worker is the parts of a running worker.
type worker struct {
	config      Config
	address     string // advertised
	incarnation string
	engine      *tensor.Engine
	disk        *disk
	reporter    *reporter
	outbox      *outbox
}

// Run works until ctx ends, and returns its error, or that of what could not be
// started. It owns three goroutines: the peer service, the session with the
// coordinators, and the agent, which obeys them.
func Run(ctx context.Context, c Config) (err error) {
	c = c.withDefaults()
	if err := c.Validate(); err != nil {
		return err
	}
	w := &worker{config: c, reporter: &reporter{}, outbox: newOutbox(), incarnation: newIncarnation()}
	if w.disk, err = openDisk(c.DataDir, c.ID, c.Log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.disk.close()) }()
	if w.engine, err = tensor.New(tensor.Config{ISA: c.ISA, Threads: c.Threads}); err != nil {
		return fmt.Errorf("tensor engine: %w", err)
	}
	defer w.engine.Close()
	audit, err := openAudit(c.Audit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, audit.close()) }()
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", c.Listen, err)
	}
	defer listener.Close()
	if w.address, err = c.advertised(listener.Addr()); err != nil {
		return err
	}
	return w.serve(ctx, listener, audit)
}

// serve runs the parts of the worker.
func (w *worker) serve(ctx context.Context, listener net.Listener, audit *audit) error {
	c := w.config
	credentials, err := secure.ServerOption(c.Secure, c.Listen)
	if err != nil {
		return err
	}
	dial, err := secure.DialOption(c.Secure)
	if err != nil {
		return err
	}
	hub := allreduce.NewHub(allreduce.HubOptions{ConnectTimeout: c.ConnectTimeout, BeginTimeout: readyTimeout})
	others := &peers{
		exports: newExports(), hub: hub, dial: []grpc.DialOption{dial},
		stepTimeout: c.StepTimeout, patience: c.StepTimeout,
	}
	server := grpc.NewServer(append(allreduce.ServerOptions(), credentials)...)
	pb.RegisterPeerServer(server, &peerServer{hub: hub, exports: others.exports, patience: c.ConnectTimeout, model: w.disk.modelPath})
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)

	orders := make(chan order)
	s := &session{
		coordinators: c.Coordinators, dial: others.dial, timeout: min(c.ConnectTimeout, welcomeTimeout),
		hello: w.hello, progress: w.reporter.take, outbox: w.outbox, orders: orders, log: c.Log,
	}
	a := &agent{
		world: others, id: c.ID, orders: orders, prepare: w.prepare, newest: w.disk.newest, save: w.disk.save,
		outbox: w.outbox, reporter: w.reporter, audit: audit, log: c.Log,
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Serve(listener) })
	g.Go(func() error { return s.run(ctx) })
	g.Go(func() error {
		defer server.Stop() // not before the ring has been left in good order
		return a.run(ctx)
	})
	c.Log.Info("worker started", zap.String("id", c.ID), zap.String("address", w.address), zap.String("isa", w.engine.ISA()), zap.Int("threads", w.engine.Threads()))
	if c.Ready != nil {
		c.Ready(w.address)
	}
	return g.Wait()
}

// hello introduces this worker, with all that it could train on from.
func (w *worker) hello() *pb.Hello {
	held := w.disk.held()
	if job, at := w.reporter.held(); job != "" {
		held = slices.DeleteFunc(held, func(h *pb.Held) bool { return h.JobId == job })
		held = append(held, &pb.Held{JobId: job, Cursor: at.cursor()})
	}
	return &pb.Hello{
		WorkerId: w.config.ID, Address: w.address, Incarnation: w.incarnation,
		Isa: w.engine.ISA(), Threads: int32(w.engine.Threads()), Version: build.Version(), Edition: build.Edition, Held: held,
	}
}

// newIncarnation tells this process from those of the same id before it.
func newIncarnation() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
