package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
	lockstepv1 "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// ranks are the processes of a ring. The conversation with each is in lines:
//
//	> rank world bytes float segmentBytes     < address
//	> address0 address1 …                     < ok
//	> go                                      < seconds of the sum     (repeated)
//	end of input
type ranks []*rankProcess

type rankProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startRanks starts the processes and connects the ring.
func startRanks(ctx context.Context, o AllReduceOptions) (_ ranks, err error) {
	var rs ranks
	defer func() {
		if err != nil {
			err = errors.Join(err, rs.stop())
		}
	}()
	for rank := range o.World {
		r := &rankProcess{cmd: o.Rank(ctx, rank)}
		if r.in, err = r.cmd.StdinPipe(); err != nil {
			return nil, err
		}
		out, err := r.cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		r.out = bufio.NewScanner(out)
		if err := r.cmd.Start(); err != nil {
			return nil, fmt.Errorf("start rank %d: %w", rank, err)
		}
		rs = append(rs, r)
	}
	addresses, err := rs.ask(func(rank int) string { return o.arguments(rank) })
	if err != nil {
		return nil, err
	}
	_, err = rs.ask(func(int) string { return strings.Join(addresses, " ") + "\n" })
	return rs, err
}

// ask sends a line to every rank, and then reads one of each.
func (rs ranks) ask(line func(rank int) string) ([]string, error) {
	for i, r := range rs {
		if _, err := io.WriteString(r.in, line(i)); err != nil {
			return nil, fmt.Errorf("rank %d: %w", i, err)
		}
	}
	answers := make([]string, len(rs))
	for i, r := range rs {
		if !r.out.Scan() {
			return nil, fmt.Errorf("rank %d ended: %w", i, errors.Join(r.out.Err(), io.ErrUnexpectedEOF))
		}
		answers[i] = r.out.Text()
	}
	return answers, nil
}

// sum has all ranks sum once and returns the time of the slowest, in seconds.
func (rs ranks) sum() (float64, error) {
	answers, err := rs.ask(func(int) string { return "go\n" })
	slowest := 0.0
	for i, a := range answers {
		s, parse := strconv.ParseFloat(a, 64)
		if parse != nil {
			return 0, fmt.Errorf("rank %d: %w", i, parse)
		}
		slowest = max(slowest, s)
	}
	return slowest, err
}

// stop ends all processes and waits for them. It may be called again.
func (rs ranks) stop() error {
	for _, r := range rs {
		r.in.Close()
	}
	var errs []error
	for i, r := range rs {
		if r.cmd.ProcessState != nil {
			continue
		}
		if err := r.cmd.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("rank %d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// AllReduceRank is one rank of AllReduce: it takes its orders from in, one a
// line, and answers each on out. It returns at the end of in.
func AllReduceRank(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<16)
	if !lines.Scan() {
		return fmt.Errorf("bench rank: no arguments: %w", errors.Join(lines.Err(), io.ErrUnexpectedEOF))
	}
	r := &benchRank{out: out}
	if _, err := fmt.Sscanf(lines.Text(), "%d %d %d %t %d", &r.rank, &r.world, &r.bytes, &r.float, &r.segment); err != nil {
		return fmt.Errorf("bench rank: arguments %q: %w", lines.Text(), err)
	}
	o := AllReduceOptions{World: r.world, Bytes: r.bytes}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("bench rank: %w", err)
	}
	if err := r.serve(ctx, lines); err != nil {
		return fmt.Errorf("bench rank %d: %w", r.rank, err)
	}
	return nil
}

// benchRank is one process of the ring.
type benchRank struct {
	lockstepv1.UnimplementedPeerServer
	rank, world, segment int
	bytes                int64
	float                bool
	out                  io.Writer
	hub                  *allreduce.Hub
}

// Ring hands the left neighbour's stream to the hub.
func (r *benchRank) Ring(s grpc.BidiStreamingServer[lockstepv1.Frame, lockstepv1.Frame]) error {
	return r.hub.ServeRing(s)
}

// serve listens, joins the ring that the next line names, and sums when told to.
func (r *benchRank) serve(ctx context.Context, lines *bufio.Scanner) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.hub = allreduce.NewHub(allreduce.HubOptions{})
	server := grpc.NewServer(allreduce.ServerOptions()...)
	lockstepv1.RegisterPeerServer(server, r)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		server.Stop()
		<-served
	}()
	fmt.Fprintln(r.out, l.Addr())
	if !lines.Scan() {
		return errors.Join(lines.Err(), io.ErrUnexpectedEOF)
	}
	m := allreduce.Membership{Job: "bench", Generation: 1, Rank: r.rank}
	for i, a := range strings.Fields(lines.Text()) {
		m.Members = append(m.Members, allreduce.Member{ID: "rank " + strconv.Itoa(i), Address: a})
	}
	conn, err := r.hub.Connect(ctx, m, []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())})
	if err != nil {
		return err
	}
	return errors.Join(r.measure(ctx, conn, lines), conn.Close())
}

// measure sums once for every line, and answers with the seconds it took.
func (r *benchRank) measure(ctx context.Context, conn *allreduce.Conn, lines *bufio.Scanner) error {
	ring, err := conn.Ring(allreduce.Options{SegmentBytes: r.segment})
	if err != nil {
		return err
	}
	var ints []int32
	var floats []float32
	if r.float {
		floats = make([]float32, r.bytes/4)
	} else {
		ints = make([]int32, r.bytes/4)
	}
	fmt.Fprintln(r.out, "ok")
	for lines.Scan() {
		if err := ring.SumInt32(ctx, make([]int32, 1)); err != nil { // all are there
			return err
		}
		begin := time.Now()
		if r.float {
			err = ring.SumFloat32(ctx, floats)
		} else {
			err = ring.SumInt32(ctx, ints)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(r.out, time.Since(begin).Seconds())
	}
	return lines.Err()
}
