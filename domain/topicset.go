package domain

import (
	"fmt"
	"slices"
	"time"
)

// MaxTopics bounds the topics of a set.
const MaxTopics = 500

// TopicSet is a list of topics of which a conversation can have one.
type TopicSet struct {
	Number    int64 // of the account
	Account   string
	Name      string
	Topics    []Topic
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Topic is one of a set. Its number is of the set and never used again.
type Topic struct {
	Number int64  `json:"id"`
	Name   string `json:"name"`
}

// Has tells whether the set has a topic of that number.
func (s TopicSet) Has(topic int64) bool {
	return slices.ContainsFunc(s.Topics, func(t Topic) bool { return t.Number == topic })
}

// Validate checks a set as a person entered it.
func (s TopicSet) Validate() error {
	if err := length("name", s.Name, 1, MaxNumberedName); err != nil {
		return err
	}
	if len(s.Topics) > MaxTopics {
		return Invalid("topics", "must hold at most %d topics", MaxTopics)
	}
	seen := map[int64]bool{}
	for i, t := range s.Topics {
		if err := length(fmt.Sprintf("topics[%d].name", i), t.Name, 1, MaxNumberedName); err != nil {
			return err
		}
		if t.Number <= 0 || seen[t.Number] {
			return Invalid(fmt.Sprintf("topics[%d].id", i), "must be a number that no other topic of the set has")
		}
		seen[t.Number] = true
	}
	return nil
}
