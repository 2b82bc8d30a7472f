package domain

import (
	"encoding/json"
	"fmt"
	"time"
)

// DeliveryPolicy says how a channel's callbacks are repeated.
type DeliveryPolicy struct {
	// Schedule holds the waits between tries. nil is the default schedule; an
	// empty list is a single attempt.
	Schedule []time.Duration
	// MaxAge ends the tries this long after the first one; 0 is the default of 72 h.
	MaxAge time.Duration
	// OnExhausted is "park" or "continue"; "" is park, but continue where the
	// schedule is the empty list: there was no schedule to use up.
	OnExhausted string
}

// Bounds of a delivery policy.
const (
	DefaultMaxAge       = 72 * time.Hour
	LongestMaxAge       = 30 * 24 * time.Hour
	LongestWait         = 24 * time.Hour
	MostWaits           = 100
	OnExhaustedPark     = "park"
	OnExhaustedContinue = "continue"
)

// defaultWaits are followed by defaultTail until MaxAge.
var defaultWaits = [...]time.Duration{
	time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
}

const defaultTail = 4 * time.Hour

// Validate checks a policy as a person entered it.
func (p DeliveryPolicy) Validate() error {
	if len(p.Schedule) > MostWaits {
		return Invalid("delivery.schedule", "must hold at most %d waits", MostWaits)
	}
	for i, w := range p.Schedule {
		if w <= 0 || w > LongestWait {
			return Invalid(fmt.Sprintf("delivery.schedule[%d]", i), "must be above 0s and at most %s", LongestWait)
		}
	}
	if p.MaxAge < 0 || p.MaxAge > LongestMaxAge {
		return Invalid("delivery.max_age", "must be from 1s to %s", LongestMaxAge)
	}
	switch p.OnExhausted {
	case "", OnExhaustedPark, OnExhaustedContinue:
		return nil
	default:
		return Invalid("delivery.on_exhausted", "must be park or continue")
	}
}

// ParksExhausted tells whether a used-up schedule holds the followers back.
func (p DeliveryPolicy) ParksExhausted() bool {
	if p.OnExhausted != "" {
		return p.OnExhausted == OnExhaustedPark
	}
	return p.Schedule == nil || len(p.Schedule) > 0
}

// Wait gives the planned wait after the given number of tries (from 1) and
// whether there is one. It ends by count, and by age: the next try may not
// start later than MaxAge after the first.
func (p DeliveryPolicy) Wait(tries int, sinceFirst time.Duration) (time.Duration, bool) {
	var wait time.Duration
	switch i := tries - 1; {
	case p.Schedule == nil && i < len(defaultWaits):
		wait = defaultWaits[i]
	case p.Schedule == nil:
		wait = defaultTail
	case i < len(p.Schedule):
		wait = p.Schedule[i]
	default:
		return 0, false
	}
	age := p.MaxAge
	if age == 0 {
		age = DefaultMaxAge
	}
	return wait, sinceFirst+wait <= age
}

type policyJSON struct {
	Schedule    *[]string `json:"schedule,omitempty"`
	MaxAge      string    `json:"max_age,omitempty"`
	OnExhausted string    `json:"on_exhausted,omitempty"`
}

// MarshalJSON writes durations as texts such as "1m30s"; the default schedule is left out.
func (p DeliveryPolicy) MarshalJSON() ([]byte, error) {
	out := policyJSON{OnExhausted: p.OnExhausted}
	if p.Schedule != nil {
		waits := make([]string, len(p.Schedule))
		for i, w := range p.Schedule {
			waits[i] = w.String()
		}
		out.Schedule = &waits
	}
	if p.MaxAge != 0 {
		out.MaxAge = p.MaxAge.String()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes; an Error names the field.
func (p *DeliveryPolicy) UnmarshalJSON(b []byte) error {
	var in policyJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("read delivery policy: %w", err)
	}
	out := DeliveryPolicy{OnExhausted: in.OnExhausted}
	if in.Schedule != nil {
		out.Schedule = make([]time.Duration, len(*in.Schedule))
		for i, w := range *in.Schedule {
			d, err := time.ParseDuration(w)
			if err != nil {
				return Invalid(fmt.Sprintf("delivery.schedule[%d]", i), `must be a duration such as "30s" or "2h"`)
			}
			out.Schedule[i] = d
		}
	}
	if in.MaxAge != "" {
		d, err := time.ParseDuration(in.MaxAge)
		if err != nil || d <= 0 {
			return Invalid("delivery.max_age", `must be a duration such as "72h"`)
		}
		out.MaxAge = d
	}
	*p = out
	return nil
}
