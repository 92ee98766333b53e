package remotesigner

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/onceward/onceward/soroban"
)

// ServerConfig of a Server. Signers is required.
type ServerConfig struct {
	// Signers that are served, by their address. Wrap them with
	// soroban.LimitedSigner to bound what a stolen connection can do.
	Signers []soroban.Signer
	// AllowUIDs are users that are served, besides the server's own and root.
	AllowUIDs []int
	// Timeout bounds one request. Default 5 s.
	Timeout time.Duration
	// MaxConns bounds the requests at the same time; more are told that it is
	// busy. Default 64.
	MaxConns int
	// Log receives who asked for what: addresses and hashes, no secrets.
	// Default: discarded.
	Log *slog.Logger
}

// Server signs what clients ask for. It is made by NewServer.
type Server struct {
	cfg     ServerConfig
	signers map[string]soroban.Signer
	slots   chan struct{}
}

// NewServer returns a Server. It starts nothing.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, 64)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Signers) == 0 || cfg.Timeout < 0 || cfg.MaxConns < 0 {
		return nil, errors.New("remotesigner: ServerConfig needs a signer, and no negative number")
	}
	s := &Server{cfg: cfg, signers: make(map[string]soroban.Signer), slots: make(chan struct{}, cfg.MaxConns)}
	for _, signer := range cfg.Signers {
		if s.signers[signer.Address()] != nil {
			return nil, fmt.Errorf("remotesigner: %s is listed twice", signer.Address())
		}
		s.signers[signer.Address()] = signer
	}
	return s, nil
}

// Listen makes the socket, for its owner alone. One that a dead process left
// behind is replaced; one that answers is an error.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("remotesigner: %w", err)
	case info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("remotesigner: %s exists and is not a socket; choose another path", path)
	default:
		var dialer net.Dialer
		if conn, err := dialer.DialContext(ctx, "unix", path); err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("remotesigner: another process listens on %s", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remotesigner: a stale socket cannot be removed: %w", err)
		}
	}
	l, err := listenPrivate(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("remotesigner: %w", err)
	}
	return l, nil
}

// Serve answers on l until ctx ends, then waits for the requests under way. It
// closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer l.Close()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("remotesigner: %w", err)
		}
		_ = conn.SetDeadline(time.Now().Add(s.cfg.Timeout))
		select {
		case s.slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-s.slots }()
				s.serve(ctx, conn)
			})
		default:
			_ = writeLine(conn, answer{Error: errBusy}) // a line fits into the socket's buffer
			_ = conn.Close()
		}
	}
}

// serve answers one request.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	if err := checkPeer(conn, s.cfg.AllowUIDs); err != nil {
		s.cfg.Log.WarnContext(ctx, "a stranger was turned away", "err", err)
		return
	}
	var req request
	if err := readLine(conn, &req); err != nil {
		s.cfg.Log.WarnContext(ctx, "a request cannot be read", "err", err)
		_ = writeLine(conn, answer{Error: errMalformed})
		return
	}
	if err := writeLine(conn, s.answer(ctx, req)); err != nil {
		s.cfg.Log.DebugContext(ctx, "the client went away", "err", err)
	}
}

func (s *Server) answer(ctx context.Context, req request) answer {
	raw, err := hex.DecodeString(req.Hash)
	if err != nil || len(raw) != 32 || req.Version != version {
		return answer{Error: errMalformed, Detail: "expected version 1 and a hash of 32 bytes"}
	}
	signer := s.signers[req.Address]
	if signer == nil {
		return answer{Error: errUnknown}
	}
	sig, err := signer.Sign(ctx, [32]byte(raw))
	if limit, ok := errors.AsType[*soroban.LimitError](err); ok {
		s.cfg.Log.WarnContext(ctx, "limited", "address", req.Address, "limit", limit.Name)
		return answer{Error: errLimited, Detail: limit.Name, RetryAfter: limit.RetryAfter.Milliseconds()}
	}
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "not signed", "address", req.Address, "err", err)
		return answer{Error: errFailed}
	}
	s.cfg.Log.InfoContext(ctx, "signed", "address", req.Address, "hash", req.Hash)
	return answer{Signature: hex.EncodeToString(sig)}
}
