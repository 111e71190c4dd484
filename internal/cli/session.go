package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/grpc/codes"

	"github.com/lockstep-ml/lockstep/internal/secure"
	"github.com/lockstep-ml/lockstep/pkg/client"
)

// basePort is where `lockstep up` puts the first coordinator, and where the
// other commands look for one.
const basePort = 7400

const (
	// answerTimeout bounds commands that ask one question.
	answerTimeout = 15 * time.Second
	// answerPatience is how long a command looks for a coordinator that answers:
	// an election of a new leader fits in it. One that follows a job bears a longer
	// absence later (see client.Config).
	answerPatience = 3 * time.Second
)

// session is how commands reach a running cluster.
type session struct {
	coordinators []string
	security     secure.Config
}

func (s *session) addFlags(f *pflag.FlagSet) {
	f.StringSliceVarP(&s.coordinators, "coordinators", "c", []string{fmt.Sprintf("127.0.0.1:%d", basePort)},
		"addresses of coordinators, host:port; any of them will do")
	f.StringVar(&s.security.CA, "tls-ca", "", "certificate of the cluster's authority (ca.pem of lockstep certs)")
	f.StringVar(&s.security.Cert, "tls-cert", "", "certificate to show")
	f.StringVar(&s.security.Key, "tls-key", "", "private key of that certificate")
}

// dial returns a client; the caller closes it. It gives up when no coordinator
// answers for as long as patience says; 0 is the client's default.
func (s *session) dial(patience time.Duration) (*client.Client, error) {
	c, err := client.New(client.Config{Coordinators: s.coordinators, Security: s.security, Patience: patience})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// ask runs do, which asks one question, with a client and a deadline.
func (s *session) ask(ctx context.Context, do func(ctx context.Context, c *client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return s.with(ctx, answerPatience, do)
}

// follow runs do, which may take as long as a job, once a coordinator answers.
func (s *session) follow(ctx context.Context, do func(ctx context.Context, c *client.Client) error) error {
	err := s.ask(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.Nodes(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return s.talk(ctx, do)
}

// talk runs do with a patient client, for as long as ctx lives.
func (s *session) talk(ctx context.Context, do func(ctx context.Context, c *client.Client) error) error {
	return s.with(ctx, 0, do)
}

func (s *session) with(ctx context.Context, patience time.Duration, do func(ctx context.Context, c *client.Client) error) error {
	c, err := s.dial(patience)
	if err != nil {
		return err
	}
	defer c.Close()
	return explain(do(ctx, c))
}

// explain turns an answer of the cluster into words for the user.
func explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, client.ErrUnreachable) {
		return hint{err, reachHint(err.Error())}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return hint{errors.New("the cluster did not answer in time"), "it may have lost the majority of its coordinators; `lockstep nodes` shows who is there"}
	}
	var said *client.Error
	if !errors.As(err, &said) {
		return err
	}
	switch said.Code {
	case codes.InvalidArgument:
		return usageError{said}
	case codes.NotFound:
		return hint{said, "`lockstep jobs` lists what there is"}
	case codes.Canceled:
		return context.Canceled
	case codes.DeadlineExceeded:
		return hint{said, "`lockstep nodes` shows who is there"}
	}
	return err
}

// reachHint says what to do when no coordinator answers. What gRPC says of TLS on
// one side only, it says in text alone.
func reachHint(said string) string {
	switch {
	case strings.Contains(said, "error reading server preface"):
		return "does the cluster use TLS? give --tls-ca, --tls-cert and --tls-key, which `lockstep certs` makes"
	case strings.Contains(said, "does not look like a TLS handshake"):
		return "the cluster does not use TLS: leave out --tls-ca, --tls-cert and --tls-key"
	case strings.Contains(said, "authentication handshake failed"):
		return "are --tls-ca and the certificates those of this cluster, and made for these addresses? `lockstep certs` makes them"
	}
	return "is a cluster running there? `lockstep up` starts one on this machine, --coordinators names another"
}
