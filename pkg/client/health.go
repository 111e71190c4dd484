package client

import (
	"context"
	"fmt"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lockstep-ml/lockstep/internal/secure"
)

// Health asks one coordinator or worker whether it serves. It returns nil if so.
func Health(ctx context.Context, address string, security secure.Config) error {
	creds, err := secure.DialOption(security)
	if err != nil {
		return err
	}
	conn, err := dial(address, creds)
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return plain(err)
	}
	if answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("it says %s", answer.Status)
	}
	return nil
}
