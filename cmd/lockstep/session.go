package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc/codes"

	"github.com/lockstep-ml/lockstep/internal/secure"
	"github.com/lockstep-ml/lockstep/pkg/client"
)

// basePort is where `lockstep up` puts the first coordinator, and where the
// other commands look for one.
const basePort = 7400

// answerTimeout bounds commands that ask one question; an election of a new
// leader fits in it.
const answerTimeout = 15 * time.Second

// session is how commands reach a running cluster.
type session struct {
	coordinators []string
	security     secure.Config
}

func (s *session) addFlags(f *pflag.FlagSet) {
	f.StringSliceVarP(&s.coordinators, "coordinators", "c", []string{fmt.Sprintf("127.0.0.1:%d", basePort)},
		"addresses of coordinators, host:port; any of them will do")
	f.StringVar(&s.security.CA, "tls-ca", "", "certificate of the cluster's authority (ca.pem of `lockstep certs`)")
	f.StringVar(&s.security.Cert, "tls-cert", "", "certificate to show")
	f.StringVar(&s.security.Key, "tls-key", "", "private key of that certificate")
}

// dial returns a client; the caller closes it.
func (s *session) dial() (*client.Client, error) {
	c, err := client.New(client.Config{Coordinators: s.coordinators, Security: s.security})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// ask runs do with a client and a deadline.
func (s *session) ask(cmd *cobra.Command, do func(ctx context.Context, c *client.Client) error) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), answerTimeout)
	defer cancel()
	return s.talk(ctx, do)
}

// talk runs do with a client, for as long as ctx lives.
func (s *session) talk(ctx context.Context, do func(ctx context.Context, c *client.Client) error) error {
	c, err := s.dial()
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
		return hint{err, "is a cluster running there? `lockstep up` starts one on this machine, --coordinators names another"}
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
		return hint{said, "the cluster did not answer in time; `lockstep nodes` shows who is there"}
	}
	return err
}
