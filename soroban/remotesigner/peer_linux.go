package remotesigner

import (
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
)

// checkPeer asks the kernel which user is at the other end.
func checkPeer(conn net.Conn, allowed []int) error {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("a connection of kind %T, not of a local socket", conn)
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return err
	}
	var cred *syscall.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if credErr != nil {
		return credErr
	}
	if !trusted(int(cred.Uid), os.Getuid(), allowed) {
		return fmt.Errorf("it runs as user %d", cred.Uid)
	}
	return nil
}

func trusted(uid, own int, allowed []int) bool {
	return uid == own || uid == 0 || slices.Contains(allowed, uid)
}
