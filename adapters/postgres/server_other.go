//go:build !linux

package postgres

import "syscall"

// setDeathSignal does nothing where the kernel knows no such signal. A server
// left behind by a killed parent is found and stopped by the next start.
func setDeathSignal(*syscall.SysProcAttr) {}
