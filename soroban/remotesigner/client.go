package remotesigner

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward/soroban"
)

// Config of a Signer.
type Config struct {
	// Socket is the path of the daemon's socket.
	Socket string
	// Address of the account to sign as, G….
	Address string
	// Timeout bounds one signature. Default 5 s.
	Timeout time.Duration
	// AllowUIDs are users that the daemon may run as, besides this process's
	// own and root.
	AllowUIDs []int
}

// Signer is a soroban.Signer whose key is in a daemon.
type Signer struct{ cfg Config }

var _ soroban.Signer = (*Signer)(nil)

// New returns a Signer. It does not connect.
func New(cfg Config) (*Signer, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	if _, err := keypair.ParseAddress(cfg.Address); err != nil {
		return nil, fmt.Errorf("remotesigner: %q is not an account address (G…)", cfg.Address)
	}
	if cfg.Socket == "" {
		return nil, errors.New("remotesigner: Config.Socket is missing; it is where the daemon listens")
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("remotesigner: Config.Timeout is negative")
	}
	return &Signer{cfg}, nil
}

// Address implements soroban.Signer.
func (s *Signer) Address() string { return s.cfg.Address }

// Sign implements soroban.Signer. A limit of the daemon is a *soroban.LimitError.
func (s *Signer) Sign(ctx context.Context, hash [32]byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	res, err := s.ask(ctx, request{Version: version, Address: s.cfg.Address, Hash: hex.EncodeToString(hash[:])})
	switch {
	case err != nil:
		return nil, fmt.Errorf("remotesigner: %w", err)
	case res.Error == errLimited:
		return nil, &soroban.LimitError{Name: res.Detail, RetryAfter: time.Duration(max(0, res.RetryAfter)) * time.Millisecond}
	case res.Error != "":
		return nil, fmt.Errorf("remotesigner: the daemon refuses: %s %s", res.Error, res.Detail)
	}
	sig, err := hex.DecodeString(res.Signature)
	if err != nil || len(sig) != ed25519.SignatureSize {
		return nil, errors.New("remotesigner: the daemon's answer is not a signature")
	}
	return sig, nil
}

// ask makes one request on a connection of its own.
func (s *Signer) ask(ctx context.Context, req request) (res answer, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", s.cfg.Socket)
	if err != nil {
		return res, fmt.Errorf("is the daemon running? %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := checkPeer(conn, s.cfg.AllowUIDs); err != nil {
		return res, fmt.Errorf("the daemon is not trusted: %w", err)
	}
	res, err = exchange(conn, req)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return res, err
}

// exchange sends req and reads the answer. A busy daemon answers and hangs up
// before it has read anything: its answer counts, not that the request could
// not be written.
func exchange(conn net.Conn, req request) (res answer, err error) {
	sendErr := writeLine(conn, req)
	if err := readLine(conn, &res); err != nil {
		return res, cmp.Or(sendErr, err)
	}
	return res, nil
}
