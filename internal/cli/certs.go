package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/secure"
)

func newCerts() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "certs NAME[=HOST,…]…",
		Short: "Make certificates, so that machines trust each other",
		Long: `Make what mutual TLS needs: in --dir an authority (once), and a certificate and
key for each NAME. HOSTs are the host names and IP addresses that others reach
that process by; NAME itself and loopback are always among them.

Give each machine ca.pem and its own two files, and start its processes with
--tls-ca, --tls-cert and --tls-key. People need a certificate too: name one
"me". Keep ca-key.pem: whoever has it can join the cluster.`,
		Example: "  lockstep certs c1=10.0.0.1 c2=10.0.0.2 c3=10.0.0.3 w1=10.0.1.1,gpu1.lan me",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			if err := secure.GenerateCA(dir, now); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			for _, arg := range args {
				name, list, _ := strings.Cut(arg, "=")
				var hosts []string
				if list != "" {
					hosts = strings.Split(list, ",")
				}
				if err := secure.Issue(dir, name, hosts, now); err != nil {
					return err
				}
				files := secure.Files(dir, name)
				fmt.Fprintf(cmd.OutOrStdout(), "%s: --tls-ca %s --tls-cert %s --tls-key %s\n", name, files.CA, files.Cert, files.Key)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "certs", "directory of the files")
	return cmd
}
