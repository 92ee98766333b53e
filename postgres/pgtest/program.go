package pgtest

import (
	"context"
	"path/filepath"
	"syscall"
)

// Program is a running program other than a Server that tests need, such as
// patroni. It runs under the account of the servers.
type Program struct{ proc *process }

// Directory makes a temporary directory that the account of the servers owns.
// Its caller removes it.
func Directory() (string, error) {
	as, err := findAccount()
	if err != nil {
		return "", err
	}
	return as.directory()
}

// FreePort returns a port on 127.0.0.1 that nobody listens on.
func FreePort() (int, error) { return freePort() }

// Launch starts what Binary finds, with its output in dir, and does not wait. It
// gets SIGTERM when this process ends without having ended it.
func Launch(dir, name string, args ...string) (*Program, error) {
	path, err := Binary(name)
	if err != nil {
		return nil, err
	}
	as, err := findAccount()
	if err != nil {
		return nil, err
	}
	proc, err := launch(as.command(path, args...), filepath.Join(dir, name+".log"), syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	return &Program{proc}, nil
}

// Until waits until ready returns no error. It fails when the program has ended,
// and after a minute.
func (p *Program) Until(ctx context.Context, ready func(context.Context) error) error {
	return p.proc.until(ctx, ready)
}

// Terminate asks the program to end, and waits until it has.
func (p *Program) Terminate() error { return p.proc.signal(syscall.SIGTERM) }

// Kill ends the program at once.
func (p *Program) Kill() error { return p.proc.signal(syscall.SIGKILL) }

// Log returns the end of what it said.
func (p *Program) Log() string { return tail(p.proc.log) }
