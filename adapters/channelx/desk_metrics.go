package channelx

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-im/parley/domain"
)

// task is what the desk can be told to do. It is a label of metrics.
type task string

// The commands.
const (
	toRegister    task = "register_person"
	toChange      task = "change_person"
	toMerge       task = "merge_persons"
	toRemove      task = "remove_person"
	toLabelPerson task = "label_person"
	toLink        task = "link"
	toVerify      task = "verify"
	toOpen        task = "open"
	toTurn        task = "turn"
	toAssign      task = "assign"
	toLabel       task = "label"
	toPrioritise  task = "set_priority"
	toCustomise   task = "set_custom"
	toSee         task = "seen"
	toUnsee       task = "unseen"
	toRead        task = "contact_seen"
	toPost        task = "post"
	toSetStatus   task = "set_status"
	toDelete      task = "delete_post"
	toRetry       task = "retry_post"
	toSubmit      task = "submit"
	toType        task = "typing"
)

var commands = [...]task{
	toRegister, toChange, toMerge, toRemove, toLabelPerson, toLink, toVerify, toOpen, toTurn, toAssign, toLabel,
	toPrioritise, toCustomise, toSee, toUnsee, toRead, toPost, toSetStatus, toDelete, toRetry, toSubmit, toType,
}

// The outcomes of commands.
const (
	outcomeDone        = "done"
	outcomeRefused     = "refused"     // it breaks a rule
	outcomeMissing     = "not_found"   // what it is about is not there
	outcomeForbidden   = "forbidden"   // the actor may not
	outcomeUnavailable = "unavailable" // worth another try
	outcomeFailed      = "failed"      // a fault of ours
)

var outcomes = [...]string{outcomeDone, outcomeRefused, outcomeMissing, outcomeForbidden, outcomeUnavailable, outcomeFailed}

type taskOutcome struct {
	kind    task
	outcome string
}

// deskMetrics are the numbers of the desk. The maps are fixed after newDeskMetrics.
type deskMetrics struct {
	commands map[taskOutcome]prometheus.Counter
	duration map[task]prometheus.Observer
	void     map[task]prometheus.Counter
}

func newDeskMetrics(reg prometheus.Registerer) (*deskMetrics, error) {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_channelx_commands_total",
		Help: "Commands about people, conversations and messages of ChannelX, by what they do and their outcome.",
	}, []string{"command", "outcome"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                        "parley_channelx_command_duration_seconds",
		Help:                        "Time from a command to its answer, with the waits for locks, the log and the rows.",
		Buckets:                     prometheus.ExponentialBuckets(.001, 4, 8),
		NativeHistogramBucketFactor: 1.1,
	}, []string{"command"})
	void := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_channelx_command_void_total",
		Help: "Tries of commands whose events had no effect, because others had changed the same things: a lock was lost.",
	}, []string{"command"})
	for _, c := range []prometheus.Collector{total, duration, void} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the ChannelX desk: %w", err)
		}
	}
	m := &deskMetrics{
		commands: map[taskOutcome]prometheus.Counter{}, duration: map[task]prometheus.Observer{}, void: map[task]prometheus.Counter{},
	}
	for _, kind := range commands {
		m.duration[kind], m.void[kind] = duration.WithLabelValues(string(kind)), void.WithLabelValues(string(kind))
		for _, outcome := range outcomes {
			m.commands[taskOutcome{kind, outcome}] = total.WithLabelValues(string(kind), outcome)
		}
	}
	return m, nil
}

// done counts a command that has come to its end.
func (m *deskMetrics) done(kind task, err error, within time.Duration) {
	m.commands[taskOutcome{kind, outcomeOf(err)}].Inc()
	m.duration[kind].Observe(within.Seconds())
}

// again counts a try that had no effect.
func (m *deskMetrics) again(kind task) { m.void[kind].Inc() }

func outcomeOf(err error) string {
	if err == nil {
		return outcomeDone
	}
	if err == errNoRight { //nolint:errorlint // it is never wrapped
		return outcomeForbidden
	}
	if refused(err) {
		return outcomeRefused
	}
	switch domain.CodeOf(err) {
	case domain.CodeInvalid, domain.CodeConflict, domain.CodeTooLarge, domain.CodeRateLimited:
		return outcomeRefused
	case domain.CodeNotFound:
		return outcomeMissing
	case domain.CodeForbidden, domain.CodeUnauthorized:
		return outcomeForbidden
	case domain.CodeUnavailable:
		return outcomeUnavailable
	case domain.CodeInternal:
		return outcomeFailed
	default:
		return outcomeFailed
	}
}
