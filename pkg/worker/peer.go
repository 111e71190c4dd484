package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// chunkBytes is the size of the pieces that states and models travel in.
const chunkBytes = 1 << 20

// peerServer is the service that other workers, and the coordinator on behalf of
// users, call.
type peerServer struct {
	pb.UnimplementedPeerServer
	hub      *allreduce.Hub
	exports  *exports
	patience time.Duration // for a state to be offered
	model    func(job string) (path string, err error)
}

// Ring serves an edge of a ring.
func (p *peerServer) Ring(stream pb.Peer_RingServer) error { return p.hub.ServeRing(stream) }

// FetchState sends the state of the generation that is now agreeing.
func (p *peerServer) FetchState(r *pb.FetchStateRequest, stream pb.Peer_FetchStateServer) error {
	ctx, cancel := context.WithTimeout(stream.Context(), p.patience)
	defer cancel()
	data, err := p.exports.take(ctx, exportOf(r))
	if err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	for i := 0; i == 0 || i < len(data); i += chunkBytes {
		m := &pb.StateChunk{Data: data[i:min(i+chunkBytes, len(data))]}
		if i == 0 {
			m.TotalBytes = int64(len(data))
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// FetchModel sends the model file of a job that is done.
func (p *peerServer) FetchModel(r *pb.FetchModelRequest, stream pb.Peer_FetchModelServer) error {
	path, err := p.model(r.GetJobId())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return status.Errorf(codes.NotFound, "this worker has no model of job %q", r.GetJobId())
	}
	if err != nil {
		return status.Errorf(codes.Internal, "model of job %q: %v", r.GetJobId(), err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return status.Errorf(codes.Internal, "model of job %q: %v", r.GetJobId(), err)
	}
	return sendFile(f, info.Size(), stream)
}

func sendFile(f io.Reader, total int64, stream pb.Peer_FetchModelServer) error {
	for sent := int64(0); sent == 0 || sent < total; {
		// Not reused: gRPC may hold on to a message after Send.
		piece := make([]byte, min(chunkBytes, total-sent))
		if _, err := io.ReadFull(f, piece); err != nil {
			return status.Errorf(codes.Internal, "model file: %v", err)
		}
		m := &pb.StateChunk{Data: piece}
		if sent == 0 {
			m.TotalBytes = total
		}
		if err := stream.Send(m); err != nil {
			return err
		}
		if sent += int64(len(piece)); total == 0 {
			return nil
		}
	}
	return nil
}

// peers is the world of other processes.
type peers struct {
	*exports
	hub         *allreduce.Hub
	dial        []grpc.DialOption
	stepTimeout time.Duration
	patience    time.Duration // for the next piece of a state
}

// connect implements world.
func (p *peers) connect(ctx context.Context, a *pb.Assignment, rank int) (ring, func(), error) {
	m := allreduce.Membership{Job: a.JobId, Generation: a.Generation, Rank: rank}
	for _, w := range a.Members {
		m.Members = append(m.Members, allreduce.Member{ID: w.WorkerId, Address: w.Address})
	}
	conn, err := p.hub.Connect(ctx, m, p.dial)
	if err != nil {
		return nil, nil, err
	}
	r, err := conn.Ring(allreduce.Options{StepTimeout: p.stepTimeout})
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return r, func() { _ = conn.Close() }, nil
}

// fetch implements world.
func (p *peers) fetch(ctx context.Context, address string, want *pb.FetchStateRequest) ([]byte, error) {
	conn, err := grpc.NewClient(address, p.dial...)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(p.patience, func() { cancel(fmt.Errorf("nothing came for %s", p.patience)) })
	defer late.Stop()
	stream, err := pb.NewPeerClient(conn).FetchState(ctx, want)
	if err != nil {
		return nil, explain(ctx, err)
	}
	var data []byte
	for total := int64(0); ; late.Reset(p.patience) {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) && int64(len(data)) == total {
			return data, nil
		}
		if err != nil {
			return nil, explain(ctx, fmt.Errorf("after %d of %d bytes: %w", len(data), total, err))
		}
		if total == 0 {
			total = m.TotalBytes
			data = make([]byte, 0, min(total, 1<<30))
		}
		data = append(data, m.Data...)
	}
}
