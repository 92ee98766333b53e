//go:build unix

package remotesigner

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// listenPrivate makes the socket in a folder of its own and moves it into
// place once its mode is right: at no moment may others connect.
func listenPrivate(ctx context.Context, path string) (net.Listener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var cfg net.ListenConfig
	hidden := filepath.Join(dir, "s")
	l, err := cfg.Listen(ctx, "unix", hidden)
	if err != nil {
		return nil, err
	}
	if unix, ok := l.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
	}
	if err := errors.Join(os.Chmod(hidden, 0o600), os.Rename(hidden, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &listener{l, sync.OnceValue(func() error { return errors.Join(l.Close(), os.Remove(path)) })}, nil
}

// listener removes its socket when it is closed.
type listener struct {
	net.Listener
	end func() error
}

// Close implements net.Listener. It may be called again, and returns once the
// socket is gone.
func (l *listener) Close() error { return l.end() }
