package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

const (
	pingTimeout  = 500 * time.Millisecond
	fetchTimeout = 10 * time.Second // for a worker to begin to send a model
)

// Nodes lists the coordinators and workers.
func (s *jobs) Nodes(ctx context.Context, _ *pb.NodesRequest) (*pb.NodesResponse, error) {
	l, err := s.leader()
	if err != nil {
		return nil, err
	}
	return &pb.NodesResponse{Coordinators: s.c.coordinators(ctx), Workers: l.workers()}, nil
}

// coordinators asks every node of the group whether it is alive, all at once.
func (c *Coordinator) coordinators(ctx context.Context) []*pb.Coordinator {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	var out []*pb.Coordinator
	var wg sync.WaitGroup
	for id, a := range c.conf.Peers {
		node := &pb.Coordinator{Id: id, Address: a, Leader: id == c.conf.ID, Alive: id == c.conf.ID}
		out = append(out, node)
		if !node.Alive {
			wg.Go(func() { node.Alive = c.ping(ctx, a) })
		}
	}
	wg.Wait()
	slices.SortFunc(out, func(a, b *pb.Coordinator) int { return cmp.Compare(a.Id, b.Id) })
	return out
}

func (c *Coordinator) ping(ctx context.Context, a string) bool {
	conn, err := c.dials.to(a)
	if err != nil {
		return false
	}
	_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err == nil
}

// workers lists those that have, or lately had, a session.
func (l *leader) workers() []*pb.Worker {
	now := time.Now()
	busy := map[string]string{}
	for _, j := range l.c.fsm.jobs() {
		for _, m := range j.Members {
			if j.Phase.Holds() {
				busy[m.Worker] = j.ID
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*pb.Worker
	for id, s := range l.sessions {
		out = append(out, &pb.Worker{
			Id: id, Address: s.hello.Address, Alive: s.alive(now, l.c.conf), JobId: busy[id],
			Isa: s.hello.Isa, Threads: s.hello.Threads, Version: s.hello.Version, LastSeen: toTime(s.seen),
		})
	}
	slices.SortFunc(out, func(a, b *pb.Worker) int { return cmp.Compare(a.Id, b.Id) })
	return out
}

// Download sends a job's model from a worker that has it.
func (s *jobs) Download(r *pb.DownloadRequest, stream pb.Jobs_DownloadServer) error {
	l, err := s.leader()
	if err != nil {
		return err
	}
	j, err := s.c.fsm.job(r.JobId)
	if err != nil {
		return s.c.toStatus(err)
	}
	if j.Phase != cluster.Succeeded {
		return status.Errorf(codes.FailedPrecondition, "job %s is %s: there is a model once it has succeeded", j.ID, j.Phase)
	}
	var errs []error
	for _, m := range j.Members {
		address := l.addressOf(m.Worker)
		if address == "" {
			errs = append(errs, fmt.Errorf("worker %s is not alive", m.Worker))
			continue
		}
		sent, err := s.c.download(j.ID, address, stream)
		if err == nil || sent {
			return err
		}
		errs = append(errs, fmt.Errorf("worker %s: %w", m.Worker, err))
	}
	return status.Errorf(codes.FailedPrecondition, "no worker can send the model of %s now: %s",
		j.ID, strings.ReplaceAll(errors.Join(errs...).Error(), "\n", "; "))
}

// addressOf returns where a live worker is; "" if it is not alive.
func (l *leader) addressOf(worker string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sessions[worker]; s != nil && s.alive(time.Now(), l.c.conf) {
		return s.hello.Address
	}
	return ""
}

// download passes a model on from one worker. It reports whether anything was
// sent, so that no other worker may be tried.
func (c *Coordinator) download(job, address string, stream pb.Jobs_DownloadServer) (sent bool, err error) {
	conn, err := c.dials.to(address)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	late := time.AfterFunc(fetchTimeout, cancel) // of each chunk
	defer late.Stop()
	from, err := pb.NewPeerClient(conn).FetchModel(ctx, &pb.FetchModelRequest{JobId: job})
	if err != nil {
		return false, err
	}
	for {
		chunk, err := from.Recv()
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return sent, err
		}
		late.Reset(fetchTimeout)
		sent = true
		if err := stream.Send(&pb.DownloadResponse{Data: chunk.Data, TotalBytes: chunk.TotalBytes}); err != nil {
			return true, err
		}
	}
}
