//go:build !unix

package remotesigner

import (
	"context"
	"net"
)

// listenPrivate leaves it to the folder of the socket who may connect.
func listenPrivate(ctx context.Context, path string) (net.Listener, error) {
	var cfg net.ListenConfig
	return cfg.Listen(ctx, "unix", path)
}
