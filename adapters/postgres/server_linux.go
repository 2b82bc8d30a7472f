package postgres

import "syscall"

// setDeathSignal has the kernel stop the child cleanly when our thread dies.
func setDeathSignal(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
