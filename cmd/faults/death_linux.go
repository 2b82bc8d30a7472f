package main

import "syscall"

// setDeathSignal has the kernel kill the child when our thread dies.
func setDeathSignal(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
