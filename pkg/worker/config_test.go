package worker

import (
	"net"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/secure"
)

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	err := Config{Coordinators: []string{"host"}, Listen: "here", Advertise: "there", Threads: -1, Secure: secure.Config{CA: "ca.pem"}}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, flag := range []string{"--id", "--coordinators", "--listen", "--advertise", "--data-dir", "--threads", "--tls-cert"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%q does not speak of %s", err, flag)
		}
	}
	good := Config{ID: "w1", Coordinators: []string{"127.0.0.1:7400"}, Listen: "127.0.0.1:0", DataDir: "d"}
	if err := good.Validate(); err != nil {
		t.Errorf("refused: %v", err)
	}
}

func TestAdvertised(t *testing.T) {
	any4 := &net.TCPAddr{IP: net.IPv4zero, Port: 9}
	for _, c := range []struct {
		conf Config
		on   net.Addr
		want string // empty: refused
	}{
		{Config{Listen: "127.0.0.1:0"}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}, "127.0.0.1:9"},
		{Config{Listen: "worker-1:0"}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9}, "worker-1:9"},
		{Config{Listen: ":9"}, any4, ""},
		{Config{Listen: "0.0.0.0:9"}, any4, ""},
		{Config{Listen: ":9", Advertise: "w1.example:9"}, any4, "w1.example:9"},
	} {
		got, err := c.conf.advertised(c.on)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("listen %q, advertise %q: %q (%v), want %q", c.conf.Listen, c.conf.Advertise, got, err, c.want)
		}
	}
}
