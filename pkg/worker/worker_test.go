package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

const realJob = `
name: points
seed: 3
data: {format: csv, train: train.csv, test: test.csv, target: c, columns: {c: category}}
model: [{dense: 8}, relu, {dropout: 0.2}, {dense: 2}]
loss: cross_entropy
optimizer: {adam: {lr: 0.05}}
steps: 14
global_batch: 10
lanes: 3
metrics: [accuracy]
checkpoint: {every: 4}
`

// realAssignment makes a data set and the job's assignment to workers of the given
// addresses.
func realAssignment(t *testing.T) *pb.Assignment {
	t.Helper()
	root := t.TempDir()
	for name, n := range map[string]int{"train.csv": 64, "test.csv": 21} {
		text := "x,y,c\n"
		for i := range n {
			x, y := draw(int64(i), int64(n), 0), draw(int64(i), int64(n), 1)
			text += fmt.Sprintf("%.4f,%.4f,%v\n", x, y, x*y > 0)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	spec, err := job.Decode("job.yaml", []byte(realJob), nil)
	if err != nil {
		t.Fatal(err)
	}
	train, test, err := dataset.Build(t.Context(), spec.Data, root)
	if err != nil {
		t.Fatal(err)
	}
	return &pb.Assignment{
		JobId: "points-1", Generation: 1, SpecYaml: spec.Canonical(), DataRoot: root,
		TrainManifest: train.Encode(), TestManifest: test.Encode(),
	}
}

// realCluster runs real workers, whose sessions are with a coordinator that
// assigns the job once all are there. It returns what rank 0 said and where the
// workers' data are.
func realCluster(t *testing.T, a *pb.Assignment, isas []string) (*pb.JobDone, []*pb.Hello, []string) {
	t.Helper()
	hellos := make(chan *pb.Hello)
	assigned := make(chan struct{})
	done := make(chan *pb.JobDone, len(isas))
	c := startCoordinator(t, func(_ int, hello *pb.Hello, stream pb.Sessions_ConnectServer) error {
		hellos <- hello
		<-assigned
		if err := stream.Send(&pb.ConnectResponse{Message: &pb.ConnectResponse_Assignment{Assignment: a}}); err != nil {
			return err
		}
		for {
			m, err := stream.Recv()
			if err != nil {
				return err
			}
			switch m := m.Message.(type) {
			case *pb.ConnectRequest_JobDone:
				done <- m.JobDone
			case *pb.ConnectRequest_JobFailed:
				t.Errorf("job failed: %s", m.JobFailed.Error)
			case *pb.ConnectRequest_RingBroken:
				t.Errorf("ring broken: %s", m.RingBroken.Error)
			}
		}
	})
	var dirs []string
	for i, isa := range isas {
		dirs = append(dirs, t.TempDir())
		conf := Config{ID: fmt.Sprintf("w%d", i), Coordinators: []string{c.address}, Listen: "127.0.0.1:0",
			DataDir: dirs[i], Threads: 1, ISA: isa, Audit: filepath.Join(dirs[i], "audit")}
		background(t, func(ctx context.Context) error { return Run(ctx, conf) })
	}
	var all []*pb.Hello
	for _, lanes := range shard.AssignLanes(3, len(isas), nil) {
		hello := within(t, "hello", hellos)
		all = append(all, hello)
		m := &pb.Member{WorkerId: hello.WorkerId, Address: hello.Address}
		for _, l := range lanes {
			m.Lanes = append(m.Lanes, int32(l))
		}
		a.Members = append(a.Members, m)
	}
	close(assigned)
	return within(t, "job done", done), all, dirs
}

// Real networks, data, rings and files: the bits do not depend on how many
// workers there are, and every worker has the same model.
func TestRealWorkers(t *testing.T) {
	one, _, _ := realCluster(t, realAssignment(t), []string{""})
	if n := len(one.History); n != 2 || one.History[1].GlobalStep != 14 || one.History[1].GetTestMetrics()["accuracy"] == 0 {
		t.Fatalf("history of one worker: %v", one.History)
	}
	two, hellos, dirs := realCluster(t, realAssignment(t), []string{"", "portable"})
	if two.WeightsSha256 != one.WeightsSha256 {
		t.Errorf("weights of two workers %.12s, of one %.12s", two.WeightsSha256, one.WeightsSha256)
	}
	check(t, resultOf(one), resultOf(two))
	for i, dir := range dirs {
		_, metadata, entry, err := checkpoint.LoadModel(filepath.Join(dir, "models", "points-1.safetensors"))
		if err != nil || entry.SHA256 != one.WeightsSha256 || !strings.Contains(metadata["lockstep.fit"], "columns") {
			t.Errorf("worker %d: model %.12s with metadata %v (%v), want %.12s", i, entry.SHA256, metadata, err, one.WeightsSha256)
		}
		state, at, _, err := checkpoint.Latest(filepath.Join(dir, "checkpoints"), "points-1")
		if err != nil || state == nil || at.Cursor != (checkpoint.Cursor{Epoch: 2}) {
			t.Errorf("worker %d: newest checkpoint at %v (%v), want the end", i, at.Cursor, err)
		}
	}
	fetchModel(t, hellos[1].Address, dirs)
	exactlyOnce(t, dirs)
}

// fetchModel gets the model over the peer service, as the coordinator does.
func fetchModel(t *testing.T, address string, dirs []string) {
	t.Helper()
	conn, err := grpc.NewClient(address, plain()...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	get := func(job string) ([]byte, error) {
		stream, err := pb.NewPeerClient(conn).FetchModel(ctx, &pb.FetchModelRequest{JobId: job})
		if err != nil {
			return nil, err
		}
		first, err := stream.Recv()
		if err == nil && int64(len(first.Data)) != first.TotalBytes {
			t.Errorf("first of a small model: %d bytes of %d", len(first.Data), first.TotalBytes)
		}
		return first.GetData(), err
	}
	want, err := os.ReadFile(filepath.Join(dirs[0], "models", "points-1.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := get("points-1"); err != nil || string(got) != string(want) {
		t.Errorf("model over the peer service: %d bytes (%v), want the file's %d", len(got), err, len(want))
	}
	for job, code := range map[string]codes.Code{"other-1": codes.NotFound, "../x": codes.InvalidArgument, "": codes.InvalidArgument} {
		if _, err := get(job); status.Code(err) != code {
			t.Errorf("model of %q: %v, want %v", job, err, code)
		}
	}
}
