//go:build linux

package remotesigner

import (
	"net"
	"path/filepath"
	"testing"
)

func TestTrusted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		uid, own int
		allowed  []int
		want     bool
	}{
		{1000, 1000, nil, true},
		{0, 1000, nil, true},
		{1001, 1000, nil, false},
		{1001, 1000, []int{1001}, true},
		{1002, 1000, []int{1001}, false},
		{1000, 0, nil, false},
	} {
		if got := trusted(tc.uid, tc.own, tc.allowed); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

// The kernel is asked, and only local sockets are trusted.
func TestCheckPeer(t *testing.T) {
	t.Parallel()
	var cfg net.ListenConfig
	for network, address := range map[string]string{"unix": filepath.Join(t.TempDir(), "s"), "tcp": "127.0.0.1:0"} {
		l, err := cfg.Listen(t.Context(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := checkPeer(conn, nil); (err == nil) != (network == "unix") {
			t.Errorf("%s: %v", network, err)
		}
	}
}
