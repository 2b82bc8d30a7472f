package httpapi

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// requestView is one open span of a conversation, from opening to close
// (voximplant-kit.md 6.1).
type requestView struct {
	Number      int                  `json:"number" doc:"Counts openings, from 1."`
	Status      domain.RequestStatus `json:"status" enum:"new,unassigned,processed_by_function,waiting_agent,processed_by_agent,done"`
	Queue       *int64               `json:"queue_id" doc:"The last queue that it waited in."`
	Function    *int64               `json:"function_id" doc:"The last function that answered."`
	AgentID     *string              `json:"agent_id" doc:"Who has it, or had it when it was closed."`
	Priority    int                  `json:"priority" doc:"0 to 10 in its queue, the higher the sooner."`
	Skills      []skillLevelView     `json:"skills" nullable:"false" doc:"Wanted of who takes it out of the queue."`
	Tags        []int64              `json:"tags" nullable:"false"`
	Topic       *int64               `json:"topic_id"`
	Variables   map[string]string    `json:"variables" doc:"What functions keep; outlives the request."`
	CustomData  map[string]string    `json:"custom_data" doc:"JSON texts by name."`
	OpenedAt    time.Time            `json:"opened_at"`
	HandledAt   *time.Time           `json:"handled_at" doc:"When an agent or a function began to handle it."`
	ClosedAt    *time.Time           `json:"closed_at"`
	CloseReason *domain.CloseReason  `json:"close_reason" enum:"agent,bot,timeout,unknown"`
	ClosesAt    *time.Time           `json:"closes_at" doc:"When its closing timer runs out unless something happens; null when none runs."`
	WaitsUntil  *time.Time           `json:"waits_until" doc:"When it has waited in its queue as long as it may; then it is unassigned."`
}

// showRequest shows an episode beside the settings of its channel as they are now.
func showRequest(e *domain.Episode, desk domain.Desk) *requestView {
	v := &requestView{
		Number: e.Number, Status: e.Status(), Queue: known(e.Queue), Function: known(e.Function), AgentID: known(e.AgentID),
		Priority: e.Priority, Skills: showLevels(e.Skills), Tags: append([]int64{}, e.Tags...), Topic: known(e.Topic),
		Variables: texts(e.Variables), CustomData: texts(e.Custom), OpenedAt: e.OpenedAt, HandledAt: e.HandledAt,
		ClosedAt: e.ClosedAt, CloseReason: known(e.Reason), WaitsUntil: e.WaitsUntil(),
	}
	timer, since, after := e.Closing()
	if timer == domain.TimerNone {
		return v
	}
	now := desk.CloseAfter // a shorter one counts at once (voximplant-kit.md 8.5)
	if timer == domain.TimerBot {
		now = desk.BotClose
	}
	if shorter := time.Duration(now) * time.Second; shorter > 0 && shorter < after {
		after = shorter
	}
	at := since.Add(after)
	v.ClosesAt = &at
	return v
}

// known gives null for what says nothing.
func known[T comparable](v T) *T {
	var nothing T
	if v == nothing {
		return nil
	}
	return &v
}

// texts gives a map that is not null.
func texts(t domain.Texts) map[string]string {
	if t == nil {
		return map[string]string{}
	}
	return t
}
