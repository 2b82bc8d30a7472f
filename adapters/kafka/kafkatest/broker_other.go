//go:build !linux

package kafkatest

import "syscall"

// setDeathSignal does nothing where the kernel knows no such signal.
func setDeathSignal(*syscall.SysProcAttr) {}
