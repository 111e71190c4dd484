package allreduce_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-ml/lockstep/pkg/allreduce"
)

// TestNetworkFaults breaks the edge from rank 0 to rank 1 in the middle of sums.
func TestNetworkFaults(t *testing.T) {
	const step = 500 * time.Millisecond
	const generous = 10 * time.Second // for a busy machine; StepTimeout is the point
	for _, c := range []struct {
		name  string
		fault func(*proxy)
		waits bool // nothing but a deadline can find it
	}{
		{"cut", (*proxy).cut, false},
		{"half-open", (*proxy).hold, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			peers := newPeers(t, 3, allreduce.HubOptions{Linger: time.Second}, plain)
			through := newProxy(t, peers[1].address)
			conns := connectVia(t, peers, through)
			timeout := generous
			if c.waits {
				timeout = step
			}
			begin := time.Now()
			time.AfterFunc(50*time.Millisecond, func() { c.fault(through) })
			errs := sumUntilError(t, conns, allreduce.Options{StepTimeout: timeout})
			if d := time.Since(begin); d > generous/2 {
				t.Errorf("all ranks had their error after %s", d)
			}
			if got := errors.Is(errors.Join(errs...), allreduce.ErrTimeout); got != c.waits {
				t.Errorf("some rank ran into its deadline: %v, want %v: %v", got, c.waits, errs)
			}
			for rank, err := range errs {
				if !names(err, fmt.Sprintf("w%d", (rank+1)%3)) && !names(err, fmt.Sprintf("w%d", (rank+2)%3)) {
					t.Errorf("rank %d: %v, want a neighbour named", rank, err)
				}
			}
			begin = time.Now()
			closeConns(t, conns)
			if d := time.Since(begin); d > generous/2 {
				t.Errorf("Close took %s", d)
			}
		})
	}
}

// connectVia makes a ring in which rank 0 reaches rank 1 through a proxy.
func connectVia(t *testing.T, peers []*peer, through *proxy) []*allreduce.Conn {
	t.Helper()
	conns := make([]*allreduce.Conn, len(peers))
	var g errgroup.Group
	for i, p := range peers {
		m := membership(peers, 1, i)
		m.Members[1].Address = through.address()
		g.Go(func() (err error) {
			conns[i], err = p.hub.Connect(t.Context(), m, dial(plain))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return conns
}

// sumUntilError keeps summing until every rank has failed.
func sumUntilError(t *testing.T, conns []*allreduce.Conn, opts allreduce.Options) []error {
	errs := make([]error, len(conns))
	var g errgroup.Group
	for i, c := range conns {
		g.Go(func() error {
			r, err := c.Ring(opts)
			v := make([]int32, 1<<20)
			for err == nil {
				err = r.SumInt32(t.Context(), v)
			}
			errs[i] = err
			return nil
		})
	}
	_ = g.Wait()
	return errs
}

// TestLostProcess: a server that stops at once is an error, not an orderly end.
func TestLostProcess(t *testing.T) {
	peers := newPeers(t, 3, allreduce.HubOptions{Linger: time.Second}, plain)
	conns := connect(t, peers, 1, plain)
	peers[1].server.Stop()
	errs := sumUntilError(t, conns, allreduce.Options{})
	if !names(errs[0], "w1") || errors.Is(errs[0], allreduce.ErrLeft) {
		t.Errorf("rank 0: %v, want w1 lost", errs[0])
	}
	closeConns(t, conns)
}
