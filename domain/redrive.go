package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// MostUnconfirmed is how many dead letters are redriven without asking back.
const MostUnconfirmed = 1000

// RedriveFilter chooses dead letters; empty fields do not narrow.
type RedriveFilter struct {
	Account string // always set
	Channel string
	From    time.Time // of the outbound event, inclusive
	To      time.Time // of the outbound event, exclusive
	Reason  Reason    // of the last attempt
	Kind    DeliveryKind
}

// Validate checks a filter as a person entered it.
func (f RedriveFilter) Validate() error {
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return Invalid("to", "must be later than from")
	}
	return nil
}

// Confirmed checks that who asks knows how many dead letters that is: above
// MostUnconfirmed the number has to be told back. CodeConflict says the number.
func (f RedriveFilter) Confirmed(count int64, confirm *int64) error {
	if count <= MostUnconfirmed || (confirm != nil && *confirm == count) {
		return nil
	}
	return &Error{
		Code: CodeConflict, Field: "confirm",
		Message: fmt.Sprintf("must be %d: so many dead letters match, and above %d they have to be confirmed", count, MostUnconfirmed),
	}
}

// RedriveState is how far a redrive is. It is a label of metrics.
type RedriveState string

// The states.
const (
	RedriveRunning   RedriveState = "running"
	RedriveDone      RedriveState = "done"
	RedriveCancelled RedriveState = "cancelled" // what was redriven before stays so
	RedriveFailed    RedriveState = "failed"    // likewise; Error says why
)

// RedriveStates is the closed set.
var RedriveStates = []RedriveState{RedriveRunning, RedriveDone, RedriveCancelled, RedriveFailed}

// Redrive is the job of redriving all that were dead letters when it was made and
// that a filter chooses.
type Redrive struct {
	ID         uuid.UUID
	Filter     RedriveFilter
	State      RedriveState
	Total      int64 // dead letters that it is about
	Redriven   int64
	Skipped    int64 // were no dead letters any more when it came to them
	By         string
	CreatedAt  time.Time // what died later is left alone
	UpdatedAt  time.Time
	FinishedAt *time.Time
	Error      string // why it failed, or what holds it up at the moment
}

// RedrivePlan is a page of a redrive that is about to be appended. It is kept
// until the page is counted, so that who goes on after a crash appends the same
// events again, which change nothing, and counts them once.
type RedrivePlan struct {
	At    time.Time     `json:"at"`
	Items []RedriveItem `json:"items"`
}

// RedriveItem is a dead letter of a plan, as it was then.
type RedriveItem struct {
	ID      uuid.UUID `json:"id"`
	Attempt int       `json:"attempt"`
}

// Planned gives what a plan wants redriven, in its order, as it was then. What is
// not among the deliveries is left out.
func (p RedrivePlan) Planned(deliveries []Delivery) []Delivery {
	found := make(map[uuid.UUID]Delivery, len(deliveries))
	for _, d := range deliveries {
		found[d.ID] = d
	}
	list := make([]Delivery, 0, len(p.Items))
	for _, item := range p.Items {
		if d, ok := found[item.ID]; ok {
			d.State, d.Attempts = StateDead, item.Attempt
			list = append(list, d)
		}
	}
	return list
}

// RedriveClaim is the right to work on a redrive, for as long as a lease runs.
type RedriveClaim struct {
	Redrive
	Epoch int64        // counts those who had the right
	Plan  *RedrivePlan // the page that the one before was at, nil = none
}

// RedriveTarget is an endpoint that a redrive has not ended with.
type RedriveTarget struct {
	Name    string
	Waiting int // redriven, and not tried since
	Room    int // how many more may be redriven now
}

// RedriveStep is how far a page has brought one target.
type RedriveStep struct {
	Target   string
	Redriven int
	Last     Position // of the last one, if any was redriven
	Done     bool     // nothing is left
}
