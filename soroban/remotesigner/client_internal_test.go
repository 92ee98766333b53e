package remotesigner

import (
	"net"
	"path/filepath"
	"testing"
)

// The answer of a daemon that hung up before the request was written arrives.
func TestExchangeAfterHangUp(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := writeLine(peer, answer{Error: errBusy}); err != nil {
		t.Fatal(err)
	}
	_ = peer.Close()
	if res, err := exchange(conn, request{}); err != nil || res.Error != errBusy {
		t.Errorf("got %+v, %v", res, err)
	}
	if _, err := exchange(conn, request{}); err == nil {
		t.Error("an answer from nobody")
	}
}
