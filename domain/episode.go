package domain

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Terms are what a channel says about its conversations, as it stood when an
// event was made. They travel in the event, so that the fold needs nothing else
// and a rebuild gives the same.
type Terms struct {
	Queue      int64 `json:"queue,omitempty"`         // where a new episode waits
	Function   int64 `json:"function,omitempty"`      // or who answers it
	Wait       int64 `json:"wait_s,omitempty"`        // longest wait in Queue, in seconds; 0 = for ever
	CloseAfter int64 `json:"close_after_s,omitempty"` // closing time of operator and unassigned conversations, in seconds
	BotClose   int64 `json:"bot_close_s,omitempty"`   // closing time of bot conversations, in seconds
}

// SkillLevel is a skill that is wanted, or that an agent has.
type SkillLevel struct {
	Skill int64 `json:"skill_id"`
	Level int   `json:"level"` // 1 to 5
}

// Heard is an event that an episode knows.
type Heard struct {
	ID uuid.UUID `json:"id"`
	At int64     `json:"at"` // Unix milliseconds
}

// RepeatWindow is how long an event is known by its id: one of the same id is a
// repeat within it and news after it (voximplant-kit.md 4.6). It is measured
// between the events' own times, so a rebuild decides the same.
const RepeatWindow = 24 * time.Hour

// MaxHeard bounds how many events of a conversation are known for that.
const MaxHeard = 128

// RequestStatus is the public name of where an episode stands (voximplant-kit.md 6.1).
type RequestStatus string

// The statuses.
const (
	RequestUnassigned RequestStatus = "unassigned"
	RequestFunction   RequestStatus = "processed_by_function"
	RequestWaiting    RequestStatus = "waiting_agent"
	RequestAgent      RequestStatus = "processed_by_agent"
	RequestDone       RequestStatus = "done"
)

// Timer names what closes an episode by time (voximplant-kit.md 6.3).
type Timer string

// The timers.
const (
	TimerNone  Timer = ""
	TimerAgent Timer = "agent" // operator and unassigned conversations
	TimerBot   Timer = "bot"   // conversations that a function answers
)

// Episode is one open span of a conversation, from opening to close, in dialects
// that have them (Dialect.HasEpisodes): Kit calls it a request. It is a fold over
// the conversation's stream, kept by each projection that needs it; the same
// events give the same state wherever they are applied.
type Episode struct {
	Number    int          `json:"number"` // counts openings, from 1
	Open      bool         `json:"open"`
	Handler   Handler      `json:"handler"`
	AgentID   string       `json:"agent_id,omitempty"`
	Queue     int64        `json:"queue,omitempty"`    // the last one it waited in
	Function  int64        `json:"function,omitempty"` // the last one that handled it
	Skills    []SkillLevel `json:"skills,omitempty"`   // wanted of who takes it
	Priority  int          `json:"priority,omitempty"` // 0 to 10, the higher the sooner
	Tags      []int64      `json:"tags,omitempty"`     // sorted
	Topic     int64        `json:"topic,omitempty"`
	OpenedAt  time.Time    `json:"opened_at"`
	HandledAt *time.Time   `json:"handled_at,omitempty"` // when somebody began to handle it
	ClosedAt  *time.Time   `json:"closed_at,omitempty"`
	Reason    CloseReason  `json:"close_reason,omitempty"`
	Variables Texts        `json:"variables,omitempty"`   // what functions keep; outlives the episode
	Custom    Texts        `json:"custom_data,omitempty"` // by name, JSON texts that functions gave
	Profile   Profile      `json:"profile"`               // of the contact; outlives the episode

	Messages   int       `json:"messages"`    // of the conversation
	StartsWith int       `json:"starts_with"` // number of the episode's first message
	Inbound    uuid.UUID `json:"inbound"`     // newest message of the contact
	InboundAt  time.Time `json:"inbound_at"`

	Handling   uuid.UUID  `json:"handling"` // the event that made the handler what it is
	HandlingAt time.Time  `json:"handling_at"`
	Activity   uuid.UUID  `json:"activity"` // the last event that counts as activity
	ActivityAt time.Time  `json:"activity_at"`
	BotSpokeAt *time.Time `json:"bot_spoke_at,omitempty"` // newest bot message, when the contact has been silent since

	Wait       int64   `json:"wait_s,omitempty"` // longest wait in Queue, seconds
	CloseAfter int64   `json:"close_after_s,omitempty"`
	BotClose   int64   `json:"bot_close_s,omitempty"`
	Heard      []Heard `json:"heard,omitempty"` // oldest first
}

// Texts maps names to texts.
type Texts map[string]string

// Status is the public name of where the episode stands.
func (e *Episode) Status() RequestStatus {
	switch {
	case !e.Open:
		return RequestDone
	case e.Handler == HandlerBot:
		return RequestFunction
	case e.Handler == HandlerQueue:
		return RequestWaiting
	case e.Handler == HandlerAgent:
		return RequestAgent
	default:
		return RequestUnassigned
	}
}

// Closing tells which timer runs, since when, and how long it was when it was
// started.
func (e *Episode) Closing() (t Timer, since time.Time, after time.Duration) {
	switch {
	case !e.Open:
		return TimerNone, time.Time{}, 0
	case e.Handler != HandlerBot:
		return TimerAgent, e.ActivityAt, time.Duration(e.CloseAfter) * time.Second
	case e.BotSpokeAt != nil:
		return TimerBot, *e.BotSpokeAt, time.Duration(e.BotClose) * time.Second
	default:
		return TimerNone, time.Time{}, 0
	}
}

// WaitsUntil is when the longest wait in the queue ends; nil when it does not wait.
func (e *Episode) WaitsUntil() *time.Time {
	if !e.Open || e.Handler != HandlerQueue || e.Wait <= 0 {
		return nil
	}
	at := e.HandlingAt.Add(time.Duration(e.Wait) * time.Second)
	return &at
}

// Apply folds one event of the conversation's stream and tells whether it took
// effect. One that is a repeat, that is void because the conversation has moved
// on since it was decided, or that is about something else changes nothing.
func (e *Episode) Apply(r Recorded) bool {
	if e.heard(r) {
		return false
	}
	took := true
	switch d := r.Data.(type) {
	case MessageReceived:
		e.received(r, d)
	case MessageSent:
		e.sent(r, d)
	case ConversationAssigned:
		took = e.assigned(r, d)
	case ConversationMarked:
		took = e.marked(r, d)
	case ConversationClosed:
		took = e.closed(r, d)
	default:
		return false
	}
	if took {
		e.hear(r)
	}
	return took
}

// heard tells whether an event was told before.
func (e *Episode) heard(r Recorded) bool {
	for _, h := range e.Heard {
		if h.ID == r.ID {
			return r.Time.UnixMilli()-h.At < RepeatWindow.Milliseconds()
		}
	}
	return false
}

// hear remembers an event, and forgets those that are too old or too many.
func (e *Episode) hear(r Recorded) {
	now := r.Time.UnixMilli()
	kept := make([]Heard, 0, len(e.Heard)+1)
	for _, h := range e.Heard {
		if h.ID != r.ID && now-h.At < RepeatWindow.Milliseconds() {
			kept = append(kept, h)
		}
	}
	kept = append(kept, Heard{ID: r.ID, At: now})
	e.Heard = kept[max(0, len(kept)-MaxHeard):]
}

// received takes in what the contact wrote: it opens an episode where none is
// open, and stops the bot's timer.
func (e *Episode) received(r Recorded, d MessageReceived) {
	e.Messages++
	e.Inbound, e.InboundAt = r.ID, r.Time
	if d.Profile != nil {
		e.Profile.Replace(*d.Profile)
	}
	if !e.Open {
		e.open(r, d.Terms)
	}
	e.BotSpokeAt = nil
	e.touch(r, d.Terms)
}

// open begins the next episode where the channel sends it.
func (e *Episode) open(r Recorded, terms *Terms) {
	*e = Episode{
		Number: e.Number + 1, Open: true, Handler: HandlerUnassigned, OpenedAt: r.Time,
		Variables: e.Variables, Profile: e.Profile, Messages: e.Messages, StartsWith: e.Messages,
		Inbound: e.Inbound, InboundAt: e.InboundAt, Handling: r.ID, HandlingAt: r.Time, Heard: e.Heard,
	}
	switch {
	case terms == nil:
	case terms.Function != 0:
		e.Handler, e.Function, e.HandledAt = HandlerBot, terms.Function, &r.Time
	case terms.Queue != 0:
		e.Handler, e.Queue, e.Wait = HandlerQueue, terms.Queue, terms.Wait
	}
}

// touch restarts the timers, on the terms of now.
func (e *Episode) touch(r Recorded, terms *Terms) {
	e.Activity, e.ActivityAt = r.ID, r.Time
	if terms != nil {
		e.CloseAfter, e.BotClose = terms.CloseAfter, terms.BotClose
	}
}

// sent takes in what the business wrote. An operator who writes takes the
// conversation, unless another operator has it, and opens an episode where none is open
// (voximplant-kit.md 8.4). A bot that writes after the close opens none.
func (e *Episode) sent(r Recorded, d MessageSent) {
	e.Messages++
	bot := d.Sender != nil && d.Sender.Bot
	if !e.Open && bot {
		return
	}
	if !e.Open {
		e.open(r, nil)
	}
	if !bot && e.Handler != HandlerAgent {
		e.handle(r, HandlerAgent)
		if d.Sender != nil {
			e.AgentID = d.Sender.agent(r.Account)
		}
	}
	if bot && e.Handler == HandlerBot {
		e.BotSpokeAt = &r.Time
	}
	e.touch(r, d.Terms)
}

// handle changes who looks after the episode.
func (e *Episode) handle(r Recorded, to Handler) {
	e.Handler, e.AgentID, e.Handling, e.HandlingAt, e.BotSpokeAt = to, "", r.ID, r.Time, nil
	if e.HandledAt == nil && (to == HandlerAgent || to == HandlerBot) {
		e.HandledAt = &r.Time
	}
}

func (e *Episode) assigned(r Recorded, d ConversationAssigned) bool {
	if !e.Open || (d.Handling != uuid.Nil && d.Handling != e.Handling) {
		return false
	}
	e.handle(r, d.To)
	e.AgentID = d.AgentID
	switch d.To {
	case HandlerQueue:
		e.Queue, e.Wait, e.Skills, e.Priority = d.Queue, d.Wait, slices.Clone(d.Skills), d.Priority
	case HandlerBot:
		e.Function = d.Function
	case HandlerAgent, HandlerUnassigned:
	}
	if !d.Idle {
		e.touch(r, d.Terms)
	}
	return true
}

func (e *Episode) marked(r Recorded, d ConversationMarked) bool {
	if !e.Open {
		return false
	}
	switch {
	case d.ReplaceTags:
		e.Tags = slices.Clone(d.Tags)
	case len(d.Tags) > 0:
		e.Tags = append(slices.Clone(e.Tags), d.Tags...)
	}
	slices.Sort(e.Tags)
	e.Tags = slices.Compact(e.Tags)
	e.Tags = e.Tags[:min(len(e.Tags), MaxTags)]
	if d.Topic != nil {
		e.Topic = *d.Topic
	}
	e.Variables = e.Variables.with(d.Variables)
	e.Custom = e.Custom.with(d.Custom)
	e.touch(r, d.Terms)
	return true
}

// with gives a copy that knows more. What goes beyond MaxMarkNames or
// MaxMarksBytes is left out, in the order of the names: functions may name
// something new in each reply, and all of it is kept.
func (t Texts) with(more Texts) Texts {
	if len(more) == 0 {
		return t
	}
	all, size := make(Texts, len(t)+len(more)), 0
	for name, text := range t {
		all[name] = text
		size += len(name) + len(text)
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		grown := size + len(more[name])
		old, known := all[name]
		if known {
			grown -= len(old)
		} else {
			grown += len(name)
		}
		if grown > MaxMarksBytes || (!known && len(all) >= MaxMarkNames) {
			continue
		}
		all[name], size = more[name], grown
	}
	return all
}

// closed ends the episode, unless the conversation has moved on since whoever
// closes it has looked.
func (e *Episode) closed(r Recorded, d ConversationClosed) bool {
	moved := func(seen, is uuid.UUID) bool { return seen != uuid.Nil && seen != is }
	if !e.Open || moved(d.SeenInbound, e.Inbound) || moved(d.SeenActivity, e.Activity) || (d.Episode != 0 && d.Episode != e.Number) {
		return false
	}
	at := r.Time
	e.Open, e.ClosedAt, e.Reason, e.BotSpokeAt = false, &at, d.Reason, nil
	return true
}
