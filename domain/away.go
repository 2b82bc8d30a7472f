package domain

import (
	"context"
	"errors"
	"io"
	"net"
)

// Away tells whether an error that nobody has explained is about a part that
// cannot be reached or does not answer, such as the database, rather than about
// a fault of ours.
func Away(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	var database interface{ SQLState() string }
	if !errors.As(err, &database) || len(database.SQLState()) != 5 {
		return false
	}
	switch database.SQLState()[:2] {
	case "08", "53", "57": // connection, resources, operator's intervention
		return true
	default:
		return false
	}
}
