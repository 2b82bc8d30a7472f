package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// seconds is a time that the API takes in whole seconds.
type seconds int64

// UnmarshalText reads 90, 90s or 1h30m.
func (s *seconds) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		*s = seconds(n)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d%time.Second != 0 {
		return errors.New("must be a number of seconds, or whole seconds such as 90s or 1h30m")
	}
	*s = seconds(d / time.Second)
	return nil
}

// numbers is a list of numbers that an account has given, such as those of queues.
type numbers []int64

// UnmarshalText reads 1,2,3 and none.
func (n *numbers) UnmarshalText(text []byte) error {
	*n = numbers{}
	if string(text) == "none" {
		return nil
	}
	for word := range strings.SplitSeq(string(text), ",") {
		number, err := strconv.ParseInt(strings.TrimSpace(word), 10, 64)
		if err != nil {
			return errors.New("must be numbers such as 1,2 or none")
		}
		*n = append(*n, number)
	}
	return nil
}

// skillLevel is a skill and how well it is known.
type skillLevel struct {
	Skill int64 `json:"skill_id"`
	Level int   `json:"level"`
}

// skillLevels is a list of skills.
type skillLevels []skillLevel

// UnmarshalText reads 3=5,7=2 and none.
func (l *skillLevels) UnmarshalText(text []byte) error {
	*l = skillLevels{}
	if string(text) == "none" {
		return nil
	}
	for word := range strings.SplitSeq(string(text), ",") {
		skill, level, _ := strings.Cut(word, "=")
		number, err := strconv.ParseInt(strings.TrimSpace(skill), 10, 64)
		known, wrong := strconv.Atoi(strings.TrimSpace(level))
		if err != nil || wrong != nil {
			return errors.New("must be skills and levels such as 3=5,7=2 or none")
		}
		*l = append(*l, skillLevel{Skill: number, Level: known})
	}
	return nil
}

// topic is a topic of a set, with its number when it has one.
type topic struct {
	Number int64  `json:"id,omitempty"`
	Name   string `json:"name"`
}

// UnmarshalText reads Returns and, for a topic that has a number, 3=Returns.
func (t *topic) UnmarshalText(text []byte) error {
	t.Name = string(text)
	if number, name, ok := strings.Cut(t.Name, "="); ok {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return errors.New("must be a name, or a number and a name such as 3=Returns")
		}
		t.Number, t.Name = n, name
	}
	return nil
}

// fields is the body of a request.
type fields map[string]any

// text sets a field to a text that was given.
func (f fields) text(name, value string) {
	if value != "" {
		f[name] = value
	}
}

// given sets a field to a value that was given.
func given[T any](f fields, name string, value *T) {
	if value != nil {
		f[name] = *value
	}
}

// deliverySettings say how calls are repeated.
type deliverySettings struct {
	Schedule    []string `help:"Waits between tries, such as 1s,5s,2m." placeholder:"WAIT"`
	SingleTry   bool     `help:"Try each call once, without a schedule."`
	MaxAge      string   `help:"When to give up, after the first try." placeholder:"72h"`
	OnExhausted string   `help:"What followers do behind a used-up schedule: park or continue." enum:",park,continue" default:""`
}

// into sets the delivery policy if any of it was given.
func (d deliverySettings) into(f fields) {
	delivery := fields{}
	switch {
	case d.SingleTry:
		delivery["schedule"] = []string{}
	case len(d.Schedule) > 0:
		delivery["schedule"] = d.Schedule
	}
	delivery.text("max_age", d.MaxAge)
	delivery.text("on_exhausted", d.OnExhausted)
	if len(delivery) > 0 {
		f["delivery"] = delivery
	}
}
