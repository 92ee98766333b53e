package pgtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Standby makes a streaming standby of s, which must be running, and runs it.
// Its name is what synchronous_standby_names knows it by.
func (s *Server) Standby(ctx context.Context, name string, opts Options) (*Server, error) {
	standby, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := standby.copyOf(s, name); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	if err := standby.begin(ctx, opts.Settings); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	return standby, nil
}

func (s *Server) copyOf(primary *Server, name string) error {
	bin, err := Binary("pg_basebackup")
	if err != nil {
		return err
	}
	conninfo := fmt.Sprintf("host=127.0.0.1 port=%d user=%s application_name=%s sslmode=disable", primary.Port, User, name)
	cmd := s.as.command(bin, "-D", s.Data, "-d", conninfo, "-R", "-c", "fast", "-X", "stream", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: pg_basebackup: %w: %s", err, out)
	}
	return nil
}

// Promote makes a standby a primary and waits until it takes writes.
func (s *Server) Promote(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var done bool
	if err := conn.QueryRow(ctx, "SELECT pg_promote(true, 60)").Scan(&done); err != nil {
		return err
	}
	if !done {
		return fmt.Errorf("pgtest: not promoted: %s", s.Log())
	}
	return nil
}

// Follow makes a standby receive from another server than before, for instance
// from one that was promoted, under the same name. It returns when it does.
func (s *Server) Follow(ctx context.Context, primary *Server, name string) error {
	conninfo := fmt.Sprintf("host=127.0.0.1 port=%d user=%s application_name=%s sslmode=disable", primary.Port, User, name)
	if err := s.Set(ctx, "primary_conninfo", conninfo); err != nil {
		return err
	}
	return s.proc.until(ctx, func(ctx context.Context) error {
		n, err := primary.count(ctx, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '"+name+"'")
		if err == nil && n == 0 {
			err = fmt.Errorf("%s does not stream; its log: %s", name, s.Log())
		}
		return err
	})
}

// Set changes a setting of a running server.
func (s *Server) Set(ctx context.Context, name, value string) error {
	if err := s.Exec(ctx, "postgres", "ALTER SYSTEM SET "+name+" = '"+value+"'"); err != nil {
		return err
	}
	return s.Exec(ctx, "postgres", "SELECT pg_reload_conf()")
}

func (s *Server) count(ctx context.Context, sql string) (n int, err error) {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, sql).Scan(&n)
	return n, err
}

// CutOff makes the standby stop receiving for as long as it runs, as one does
// that has lost its network.
func (s *Server) CutOff(ctx context.Context) error {
	if err := s.Set(ctx, "primary_conninfo", ""); err != nil {
		return err
	}
	return s.proc.until(ctx, func(ctx context.Context) error {
		n, err := s.count(ctx, "SELECT count(*) FROM pg_stat_wal_receiver")
		if err == nil && n > 0 {
			err = errors.New("it still receives")
		}
		return err
	})
}
