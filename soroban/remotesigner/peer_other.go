//go:build !linux

package remotesigner

import "net"

// checkPeer leaves it to the mode of the socket who may connect.
func checkPeer(net.Conn, []int) error { return nil }
