//go:build !linux

package main

import (
	"context"
	"errors"
)

var errLinux = errors.New("it mounts a file system in a way that is Linux's alone")

// mayMount tells why a file system cannot be mounted here.
func mayMount() error { return errLinux }

// disk is a file system in a file.
type disk struct{ image, at string }

func (*disk) make(context.Context) error    { return errLinux }
func (*disk) mount(context.Context) error   { return errLinux }
func (*disk) unmount(context.Context) error { return errLinux }
func (*disk) cut() error                    { return errLinux }

// memory is a small file system in memory.
type memory struct{ at string }

func (*memory) make(context.Context, int) error  { return errLinux }
func (*memory) leave(context.Context, int) error { return errLinux }
func (*memory) unmount(context.Context) error    { return errLinux }
