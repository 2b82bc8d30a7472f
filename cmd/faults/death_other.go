//go:build !linux

package main

import "syscall"

// setDeathSignal does nothing here: a child of a killed suite stays.
func setDeathSignal(*syscall.SysProcAttr) {}
