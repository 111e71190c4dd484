package coordinator

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func fromCursor(c *pb.Cursor) cluster.Cursor {
	return cluster.Cursor{Epoch: c.GetEpoch(), Step: c.GetStep()}
}

func toCursor(c cluster.Cursor) *pb.Cursor { return &pb.Cursor{Epoch: c.Epoch, Step: c.Step} }

func fromHistory(in []*pb.EpochResult) []cluster.EpochResult {
	var out []cluster.EpochResult
	for _, r := range in {
		e := cluster.EpochResult{
			Epoch: r.GetEpoch(), TrainLoss: cluster.Number(r.GetTrainLoss()), TrainMetrics: convert[cluster.Number](r.GetTrainMetrics()),
			TestMetrics: convert[cluster.Number](r.GetTestMetrics()), Seconds: cluster.Number(r.GetSeconds()), GlobalStep: r.GetGlobalStep(), Kept: r.GetKept(),
		}
		if r != nil && r.TestLoss != nil {
			loss := cluster.Number(*r.TestLoss)
			e.TestLoss = &loss
		}
		out = append(out, e)
	}
	return out
}

func toHistory(in []cluster.EpochResult) []*pb.EpochResult {
	var out []*pb.EpochResult
	for _, r := range in {
		out = append(out, &pb.EpochResult{
			Epoch: r.Epoch, TrainLoss: float64(r.TrainLoss), TrainMetrics: convert[float64](r.TrainMetrics),
			TestLoss: (*float64)(r.TestLoss), TestMetrics: convert[float64](r.TestMetrics),
			Seconds: float64(r.Seconds), GlobalStep: r.GlobalStep, Kept: r.Kept,
		})
	}
	return out
}

func convert[To, From ~float64](in map[string]From) map[string]To {
	if in == nil {
		return nil
	}
	out := make(map[string]To, len(in))
	for k, v := range in {
		out[k] = To(v)
	}
	return out
}

func toMembers(in []cluster.Member) []*pb.Member {
	var out []*pb.Member
	for _, m := range in {
		lanes := make([]int32, len(m.Lanes))
		for i, lane := range m.Lanes {
			lanes[i] = int32(lane)
		}
		out = append(out, &pb.Member{WorkerId: m.Worker, Address: m.Address, Lanes: lanes})
	}
	return out
}

func toCheckpoint(k *cluster.Checkpoint) *pb.Checkpoint {
	if k == nil {
		return nil
	}
	return &pb.Checkpoint{Cursor: toCursor(k.Cursor), Sha256: k.SHA256, Bytes: k.Bytes, WorkerIds: k.Workers}
}

func toAssignment(j *cluster.Job) *pb.Assignment {
	return &pb.Assignment{
		JobId: j.ID, Generation: j.Generation, Members: toMembers(j.Members), SpecYaml: j.Spec, DataRoot: j.DataRoot,
		TrainManifest: j.TrainManifest, TestManifest: j.TestManifest, Checkpoint: toCheckpoint(j.Floor()),
	}
}

func toEvents(in []cluster.Event) []*pb.Event {
	var out []*pb.Event
	for _, e := range in {
		out = append(out, &pb.Event{At: toTime(e.At), Node: e.Node, Message: e.Message})
	}
	return out
}

func toTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func toState(p cluster.Phase) pb.JobState {
	switch p {
	case cluster.Queued:
		return pb.JobState_JOB_STATE_QUEUED
	case cluster.Running:
		return pb.JobState_JOB_STATE_RUNNING
	case cluster.Waiting:
		return pb.JobState_JOB_STATE_WAITING
	case cluster.Succeeded:
		return pb.JobState_JOB_STATE_SUCCEEDED
	case cluster.Failed:
		return pb.JobState_JOB_STATE_FAILED
	case cluster.Cancelled:
		return pb.JobState_JOB_STATE_CANCELLED
	}
	return pb.JobState_JOB_STATE_UNSPECIFIED
}

// toJob returns the job as users see it, with what is live of it (may be nil).
func toJob(j *cluster.Job, p *live) *pb.Job {
	out := &pb.Job{
		Id: j.ID, Name: j.Name, State: toState(j.Phase), Reason: j.Reason, Priority: int32(j.Priority),
		SubmittedAt: toTime(j.SubmittedAt), StartedAt: toTime(j.StartedAt), EndedAt: toTime(j.EndedAt),
		SpecYaml: j.Spec, Cursor: toCursor(j.Cursor), Epochs: int32(j.Epochs), StepsPerEpoch: j.StepsPerEpoch,
		Records: j.Records, Parameters: j.Parameters, Generation: j.Generation, Members: toMembers(j.Members),
		History: toHistory(j.History), WeightsSha256: j.WeightsSHA, Error: j.Error,
		Lanes: int32(j.Lanes), WorkersMin: int32(j.MinWorkers), WorkersMax: int32(j.MaxWorkers),
	}
	for i := range j.Checkpoints {
		out.Checkpoints = append(out.Checkpoints, toCheckpoint(&j.Checkpoints[i]))
	}
	if p == nil || p.generation != j.Generation || j.Phase != cluster.Running {
		return out
	}
	out.RecordsPerSecond = p.rate
	if p.cursor.Compare(j.Cursor) > 0 {
		out.Cursor = toCursor(p.cursor)
	}
	if len(p.history) > len(j.History) {
		out.History = toHistory(p.history)
	}
	return out
}
