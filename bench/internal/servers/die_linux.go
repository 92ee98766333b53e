package servers

import "syscall"

// dieWithParent has the kernel kill the child of a parent that died.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
