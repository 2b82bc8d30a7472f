package httpapi

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagTopicSets = "Topic sets"

// topicInput is a topic of a set, or one to be made.
type topicInput struct {
	ID   int64  `json:"id,omitempty" minimum:"1" doc:"Of a topic that the set has; absent for a new one."`
	Name string `json:"name" minLength:"1" maxLength:"255" example:"Delivery"`
}

// topicSetInput is a topic set to be made.
type topicSetInput struct {
	Name   string       `json:"name" minLength:"1" maxLength:"255" doc:"Unique in the account." example:"Reasons of contact"`
	Topics []topicInput `json:"topics,omitempty" nullable:"false" maxItems:"500"`
}

// topicSetChangeInput holds the settings to be changed; what is absent stays.
type topicSetChangeInput struct {
	Name   *string       `json:"name,omitempty" minLength:"1" maxLength:"255" doc:"Unique in the account."`
	Topics *[]topicInput `json:"topics,omitempty" maxItems:"500" doc:"All topics from now on: those with an id stay, the others are new."`
}

// topicView is a topic of a set.
type topicView struct {
	ID   int64  `json:"id" doc:"Never used again when the topic is gone." example:"7"`
	Name string `json:"name"`
}

// topicSetView is a topic set as the API shows it.
type topicSetView struct {
	ID        int64       `json:"id" example:"2"`
	Name      string      `json:"name"`
	Topics    []topicView `json:"topics" nullable:"false"`
	CreatedAt time.Time   `json:"created_at"`
	UpdatedAt time.Time   `json:"updated_at"`
}

func showTopicSet(s domain.TopicSet) topicSetView {
	v := topicSetView{ID: s.Number, Name: s.Name, Topics: make([]topicView, len(s.Topics)), CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt}
	for i, t := range s.Topics {
		v.Topics[i] = topicView{ID: t.Number, Name: t.Name}
	}
	return v
}

func numberOfTopicSet(s domain.TopicSet) int64 { return s.Number }

func nameOfTopicSet(s domain.TopicSet) (int64, string) { return s.Number, s.Name }

func (p *platform) topicSetRoutes() {
	nounRoutes(p, noun[domain.TopicSet, topicSetInput, topicSetChangeInput, topicSetView]{
		path: "topic-sets", tag: tagTopicSets, one: "topic set", many: "topic sets", operation: "topic-set",
		whenRemoved: "409 while a channel uses it. Conversations that have one of its topics keep its number.",
		all:         p.Directory.TopicSets, read: p.Directory.TopicSet, number: numberOfTopicSet, show: showTopicSet,
		create: p.createTopicSet, change: p.changeTopicSet, remove: p.removeTopicSet,
	})
}

func (p *platform) createTopicSet(ctx context.Context, c caller, _ string, in topicSetInput) (domain.TopicSet, error) {
	s, all := domain.TopicSet{Account: c.Account, Name: in.Name}, p.Directory.TopicSets(c.Account)
	if err := free(all, "name", "topic set", s.Name, 0, nameOfTopicSet); err != nil {
		return domain.TopicSet{}, err
	}
	var err error
	if s.Topics, err = p.topics(ctx, c, s, in.Topics); err != nil {
		return domain.TopicSet{}, err
	}
	if s.Number, err = next(ctx, p, c.Account, "topic-set", all, numberOfTopicSet); err != nil {
		return domain.TopicSet{}, err
	}
	return p.Directory.CreateTopicSet(ctx, s)
}

func (p *platform) changeTopicSet(ctx context.Context, c caller, s domain.TopicSet, in topicSetChangeInput) (domain.TopicSet, error) {
	set(&s.Name, in.Name)
	if err := free(p.Directory.TopicSets(c.Account), "name", "topic set", s.Name, s.Number, nameOfTopicSet); err != nil {
		return domain.TopicSet{}, err
	}
	if in.Topics != nil {
		var err error
		if s.Topics, err = p.topics(ctx, c, s, *in.Topics); err != nil {
			return domain.TopicSet{}, err
		}
	}
	return p.Directory.ChangeTopicSet(ctx, c.Account, s.Number, func(there *domain.TopicSet) error {
		there.Name, there.Topics = s.Name, s.Topics
		return there.Validate()
	})
}

// topics gives the topics of a set their numbers, after making sure that the rest
// of the set is right.
func (p *platform) topics(ctx context.Context, c caller, s domain.TopicSet, in []topicInput) ([]domain.Topic, error) {
	var highest []domain.Topic
	for _, other := range p.Directory.TopicSets(c.Account) {
		highest = append(highest, other.Topics...)
	}
	numberOf := func(t domain.Topic) int64 { return t.Number }
	list, seen := make([]domain.Topic, len(in)), map[int64]bool{}
	for i, t := range in {
		if t.ID != 0 && (!s.Has(t.ID) || seen[t.ID]) {
			return nil, unmet(fmt.Sprintf("topics[%d].id", i), "must be the id of a topic that the set has, once; leave it out for a new topic")
		}
		seen[t.ID] = true
		list[i] = domain.Topic{Number: t.ID, Name: t.Name}
	}
	for i := range list {
		if list[i].Number != 0 {
			continue
		}
		var err error
		if list[i].Number, err = next(ctx, p, c.Account, "topic", highest, numberOf); err != nil {
			return nil, err
		}
	}
	s.Topics = list
	return list, s.Validate()
}

func (p *platform) removeTopicSet(ctx context.Context, c caller, s domain.TopicSet) error {
	for _, ch := range p.Channels.Channels(c.Account) {
		if ch.Desk.TopicSet == s.Number {
			return inUse("topic set", s.Name, "channel", ch.ID)
		}
	}
	return p.Directory.DeleteTopicSet(ctx, c.Account, s.Number)
}
