package timers

import "errors"

// What a round can fail at.
const (
	sourceStore  = "store"  // the rows cannot be read, or nothing can be claimed
	sourceLog    = "log"    // the log does not take events
	sourceBehind = "behind" // the rows do not catch up with the log
)

var sources = []string{sourceStore, sourceLog, sourceBehind}

// outage is a failure and what it is of.
type outage struct {
	source string
	err    error
}

func (o *outage) Error() string { return o.err.Error() }

func (o *outage) Unwrap() error { return o.err }

// sourceOf tells what an error is of: the rows, unless it says otherwise.
func sourceOf(err error) string {
	if o, ok := errors.AsType[*outage](err); ok {
		return o.source
	}
	return sourceStore
}
