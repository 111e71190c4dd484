package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

const (
	// patience is how long a call waits for a leader to be elected.
	patience  = 5 * time.Second
	pollEvery = 20 * time.Millisecond
	// forwardedKey marks a call that a node forwarded: it is not forwarded again.
	forwardedKey = "lockstep-forwarded"
)

// route says where a call of Jobs is to be answered: here if conn is nil. It waits
// for a leader, at most until the deadline.
func (c *Coordinator) route(ctx context.Context, deadline time.Time) (*grpc.ClientConn, error) {
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	for {
		if c.leading.Load() != nil {
			return nil, nil
		}
		md, _ := metadata.FromIncomingContext(ctx)
		if len(md.Get(forwardedKey)) > 0 {
			return nil, c.notLeader(codes.Unavailable, "coordinator "+c.conf.ID+" does not lead any more")
		}
		if a := c.leaderAddress(); a != "" && a != c.conf.Advertise {
			return c.dials.to(a)
		}
		if time.Now().After(deadline) {
			return nil, c.notLeader(codes.Unavailable, c.leaderless())
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		case <-c.stopping.Done():
			return nil, c.notLeader(codes.Unavailable, "coordinator "+c.conf.ID+" is stopping")
		}
	}
}

// leaderless says why there is no leader, as far as this node knows.
func (c *Coordinator) leaderless() string {
	if err := c.store.failure(); err != nil {
		return fmt.Sprintf("coordinator %s can not write its log, and goes on by itself once it can: free space in %s: %v", c.conf.ID, c.conf.DataDir, err)
	}
	return fmt.Sprintf("no leader for %s: a majority of the %d coordinators must be running and reach each other", patience, len(c.conf.Peers))
}

// forwards says whether calls of the method go to the leader.
func forwards(method string) bool {
	return strings.HasPrefix(method, "/"+pb.Jobs_ServiceDesc.ServiceName+"/")
}

// forwardUnary answers a call here or has the leader answer it. Calls of Jobs may
// be repeated, so one that a falling leader did not answer is asked of the next.
// The patience begins anew when a call was under way for longer than that.
func (c *Coordinator) forwardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if !forwards(info.FullMethod) {
		return handler(ctx, req)
	}
	if r, ok := req.(*pb.SubmitRequest); ok && r.RequestId == "" {
		r.RequestId = rand.Text()
	}
	deadline := time.Now().Add(patience)
	for {
		began := time.Now()
		answer, err := c.answer(ctx, req, info.FullMethod, handler, deadline)
		if routed := time.Now(); routed.Sub(began) > patience+time.Second { // longer than route waits
			deadline = routed.Add(patience)
		}
		if status.Code(err) != codes.Unavailable || time.Now().After(deadline) || ctx.Err() != nil || c.stopping.Err() != nil {
			return answer, err
		}
		if md, _ := metadata.FromIncomingContext(ctx); len(md.Get(forwardedKey)) > 0 {
			return nil, err // the node that forwarded asks again
		}
		if err := pause(ctx, pollEvery); err != nil {
			return nil, status.FromContextError(err).Err()
		}
	}
}

func (c *Coordinator) answer(ctx context.Context, req any, method string, handler grpc.UnaryHandler, deadline time.Time) (any, error) {
	conn, err := c.route(ctx, deadline)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return handler(ctx, req)
	}
	_, reply, err := messages(method)
	if err != nil {
		return nil, err
	}
	return reply, c.whileLeads(ctx, conn.Target(), func(ctx context.Context) error { return conn.Invoke(outgoing(ctx), method, req, reply) })
}

// whileLeads calls f, and ends it when another node than the one at address is
// known to lead: that one may hang, and would be noticed much later.
func (c *Coordinator) whileLeads(ctx context.Context, address string, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for pause(ctx, watchEvery) == nil {
			if a := c.leaderAddress(); a != "" && a != address {
				cancel(errNotLeading)
			}
		}
	})
	err := f(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errNotLeading) {
		err = c.notLeader(codes.Unavailable, "the leader changed")
	}
	cancel(nil)
	watch.Wait()
	return err
}

// forwardStream does the same for calls that answer with a stream. One that
// breaks is not taken up again here: the caller knows how far it got.
func (c *Coordinator) forwardStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if !forwards(info.FullMethod) {
		return handler(srv, stream)
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(c.stopping, cancel)()
	conn, err := c.route(ctx, time.Now().Add(patience))
	if err != nil {
		return err
	}
	if conn == nil {
		return handler(srv, stream)
	}
	err = c.whileLeads(ctx, conn.Target(), func(ctx context.Context) error { return relay(ctx, stream, conn, info.FullMethod) })
	if err != nil && c.stopping.Err() != nil {
		return c.notLeader(codes.Unavailable, "coordinator "+c.conf.ID+" is stopping")
	}
	return err
}

func relay(ctx context.Context, stream grpc.ServerStream, conn *grpc.ClientConn, method string) error {
	req, reply, err := messages(method)
	if err != nil {
		return err
	}
	if err := stream.RecvMsg(req); err != nil {
		return err
	}
	onward, err := conn.NewStream(outgoing(ctx), &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	if err := onward.SendMsg(req); err != nil && err != io.EOF { // after EOF RecvMsg has the status
		return err
	}
	if err := onward.CloseSend(); err != nil {
		return err
	}
	for {
		proto.Reset(reply)
		if err := onward.RecvMsg(reply); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(reply); err != nil {
			return err
		}
	}
}

// outgoing passes deadline and metadata on and marks the call as forwarded.
func outgoing(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, forwardedKey, "1")
}

// messages returns empty messages of a method's request and answer.
func messages(method string) (req, reply proto.Message, err error) {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, nil, status.Error(codes.Unimplemented, err.Error())
	}
	desc, ok := found.(protoreflect.ServiceDescriptor)
	if !ok || desc.Methods().ByName(protoreflect.Name(name)) == nil {
		return nil, nil, status.Errorf(codes.Unimplemented, "unknown method %s", method)
	}
	m := desc.Methods().ByName(protoreflect.Name(name))
	in, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	if err != nil {
		return nil, nil, status.Error(codes.Unimplemented, err.Error())
	}
	out, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	if err != nil {
		return nil, nil, status.Error(codes.Unimplemented, err.Error())
	}
	return in.New().Interface(), out.New().Interface(), nil
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
