package stores

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// localServer returns the process id of the server that the pool leads to, if
// that runs on this machine in our sight, and otherwise 0: on another machine,
// in a container, or not on Linux.
func localServer(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	var session int
	var address *netip.Prefix // NULL for a Unix socket
	if err := pool.QueryRow(ctx, "SELECT pg_backend_pid(), inet_server_addr()").Scan(&session, &address); err != nil {
		return 0, err
	}
	if address != nil && !address.Addr().IsLoopback() {
		return 0, nil
	}
	// The number may be one of another process, if the server counts its own.
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", session))
	if err != nil || !bytes.HasPrefix(title, []byte("postgres:")) {
		return 0, nil //nolint:nilerr // nobody there
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", session))
	if err != nil {
		return 0, nil //nolint:nilerr // it has gone: then it was not ours
	}
	for line := range strings.Lines(string(status)) {
		if parent, ok := strings.CutPrefix(line, "PPid:"); ok {
			return strconv.Atoi(strings.TrimSpace(parent))
		}
	}
	return 0, nil
}
