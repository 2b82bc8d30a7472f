package domain_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// kitChannel redirects to a queue with a longest wait of 5 minutes.
func kitChannel() domain.Channel {
	return domain.Channel{
		ID: "3f0c8a52-6a1d-4c0e-9a77-0d6f4f1b2c33", Account: "acme", Dialect: domain.DialectVoximplant,
		Desk: domain.Desk{Queue: 7, Wait: 300, CloseAfter: 3600, BotClose: 600},
	}
}

func petra() domain.Agent { return domain.Agent{Number: 31, Account: "acme", Username: "petra"} }

// request is a stream of one contact of a channel with episodes, a second
// between two events.
type request struct {
	t       *testing.T
	channel domain.Channel
	now     time.Time
	episode domain.Episode
	thread  *domain.Thread
	log     []domain.Recorded
	took    []bool
}

const visitor = "u-20417"

func ask(t *testing.T, channel domain.Channel) *request {
	t.Helper()
	return &request{t: t, channel: channel, now: storyStart, thread: domain.NewThread()}
}

func (q *request) append(e domain.Event) bool {
	q.t.Helper()
	r := domain.Recorded{Event: e, Position: domain.Position{Partition: 1, Offset: int64(len(q.log))}}
	took := q.episode.Apply(r)
	q.thread.Apply(r)
	q.log, q.took, q.now = append(q.log, r), append(q.took, took), q.now.Add(time.Second)
	if c := q.conversation(); c.State != nil {
		if diff := cmp.Diff(q.episode, *c.State); diff != "" {
			q.t.Fatalf("the conversation's episode after event %d (-alone +in the thread):\n%s", len(q.log)-1, diff)
		}
	}
	return took
}

func (q *request) again(number int) bool { return q.append(q.log[number].Event) }

func (q *request) pause(d time.Duration) { q.now = q.now.Add(d) }

func (q *request) conversation() domain.Conversation {
	if c := q.thread.Conversations[domain.ConversationID(q.channel.ID, visitor)]; c != nil {
		return *c
	}
	return domain.Conversation{ID: domain.ConversationID(q.channel.ID, visitor), ContactRef: visitor}
}

func (q *request) asks(external string) bool {
	return q.append(q.channel.Receive(visitor, external, q.now, text("hello"), nil, q.now))
}

func (q *request) says(sender *domain.Sender) bool {
	return q.append(q.channel.SendAs(sender, visitor, domain.DeriveID("test", fmt.Sprint(len(q.log))), text("yes"), "", q.now))
}

func (q *request) assign(a domain.Assignment) bool {
	q.t.Helper()
	return q.must(q.conversation().Assign(q.channel, domain.DeriveID("test", fmt.Sprint(len(q.log))), a, "desk", q.now))
}

func (q *request) mark(m domain.Marks) bool {
	q.t.Helper()
	return q.must(q.conversation().Mark(q.channel, domain.DeriveID("test", fmt.Sprint(len(q.log))), m, "desk", q.now))
}

func (q *request) close() bool {
	q.t.Helper()
	return q.must(q.conversation().Close(q.channel, domain.Closing{Sender: petra().Sender()}, q.now))
}

func (q *request) must(e domain.Event, err error) bool {
	q.t.Helper()
	if err != nil {
		q.t.Fatal(err)
	}
	return q.append(e)
}

// Ensure that the right timer runs, from the right moment (voximplant-kit.md 6.3).
func TestEpisode_timers(t *testing.T) {
	t.Parallel()
	bot := kitChannel()
	bot.Desk.Queue, bot.Desk.Wait, bot.Desk.Function = 0, 0, 4
	nobody := kitChannel()
	nobody.Desk.Queue, nobody.Desk.Wait = 0, 0
	tests := map[string]struct {
		channel domain.Channel
		tell    func(*request)
		timer   domain.Timer
		since   int // number of the event that started it
		status  domain.RequestStatus
	}{
		"waits in a queue":  {kitChannel(), func(q *request) { q.asks("1") }, domain.TimerAgent, 0, domain.RequestWaiting},
		"unassigned":        {nobody, func(q *request) { q.asks("1") }, domain.TimerAgent, 0, domain.RequestUnassigned},
		"restarted inbound": {kitChannel(), func(q *request) { q.asks("1"); q.asks("2") }, domain.TimerAgent, 1, domain.RequestWaiting},
		"restarted by an operator": {
			kitChannel(), func(q *request) { q.asks("1"); q.says(petra().Sender()); q.says(petra().Sender()) },
			domain.TimerAgent, 2, domain.RequestAgent,
		},
		"restarted by a tag": {
			kitChannel(), func(q *request) { q.asks("1"); q.mark(domain.Marks{Tags: []int64{3}}) },
			domain.TimerAgent, 1, domain.RequestWaiting,
		},
		"restarted by an assignment": {
			nobody, func(q *request) { q.asks("1"); q.assign(domain.Assignment{To: domain.HandlerAgent, AgentID: "31"}) },
			domain.TimerAgent, 1, domain.RequestAgent,
		},
		"not by the end of a wait": {
			kitChannel(), func(q *request) {
				q.asks("1")
				q.pause(300 * time.Second)
				e, ok := q.conversation().GiveUpWaiting(q.channel, q.now)
				if !ok || !q.append(e) {
					q.t.Fatal("waits on")
				}
			}, domain.TimerAgent, 0, domain.RequestUnassigned,
		},
		"not by a repeat":                {kitChannel(), func(q *request) { q.asks("1"); q.again(0) }, domain.TimerAgent, 0, domain.RequestWaiting},
		"none before the bot has spoken": {bot, func(q *request) { q.asks("1") }, domain.TimerNone, 0, domain.RequestFunction},
		"from the bot's message":         {bot, func(q *request) { q.asks("1"); q.says(domain.BotSender()) }, domain.TimerBot, 1, domain.RequestFunction},
		"from the newest one": {
			bot, func(q *request) { q.asks("1"); q.says(domain.BotSender()); q.says(domain.BotSender()) },
			domain.TimerBot, 2, domain.RequestFunction,
		},
		"not from a tag": {
			bot, func(q *request) { q.asks("1"); q.says(domain.BotSender()); q.mark(domain.Marks{Tags: []int64{3}}) },
			domain.TimerBot, 1, domain.RequestFunction,
		},
		"stopped by the contact": {
			bot, func(q *request) { q.asks("1"); q.says(domain.BotSender()); q.asks("2") }, domain.TimerNone, 0, domain.RequestFunction,
		},
		"started again by the bot": {
			bot, func(q *request) { q.asks("1"); q.says(domain.BotSender()); q.asks("2"); q.says(domain.BotSender()) },
			domain.TimerBot, 3, domain.RequestFunction,
		},
		"function gives to a queue": {
			bot, func(q *request) {
				q.asks("1")
				q.says(domain.BotSender())
				q.assign(domain.Assignment{To: domain.HandlerQueue, Queue: 7, Wait: 300})
			}, domain.TimerAgent, 2, domain.RequestWaiting,
		},
		"queue gives to a function": {
			kitChannel(), func(q *request) { q.asks("1"); q.assign(domain.Assignment{To: domain.HandlerBot, Function: 4}) },
			domain.TimerNone, 0, domain.RequestFunction,
		},
		"a bot speaks to a queue": {
			kitChannel(), func(q *request) { q.asks("1"); q.says(domain.BotSender()) }, domain.TimerAgent, 1, domain.RequestWaiting,
		},
		"closed": {kitChannel(), func(q *request) { q.asks("1"); q.close() }, domain.TimerNone, 0, domain.RequestDone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := ask(t, test.channel)
			test.tell(q)
			timer, since, after := q.episode.Closing()
			if timer != test.timer || q.episode.Status() != test.status {
				t.Fatalf("timer %q of %s, want %q of %s", timer, q.episode.Status(), test.timer, test.status)
			}
			if timer == domain.TimerNone {
				return
			}
			want := map[domain.Timer]time.Duration{domain.TimerAgent: time.Hour, domain.TimerBot: 10 * time.Minute}[timer]
			if started := q.log[test.since].Time; !since.Equal(started) || after != want {
				t.Errorf("runs since %s for %s, want since %s for %s", since, after, started, want)
			}
			end := since.Add(after)
			if _, ok := q.conversation().Expire(q.channel, end.Add(-time.Millisecond)); ok {
				t.Error("runs out before its end")
			}
			e, ok := q.conversation().Expire(q.channel, end)
			if !ok || !q.append(e) || q.conversation().Status != domain.StatusClosed {
				t.Errorf("does not run out: %+v", q.conversation())
			}
		})
	}
}

// Ensure that a shorter closing time counts at once, a longer one from the next
// activity (voximplant-kit.md 8.5).
func TestEpisode_closingTimeIsChanged(t *testing.T) {
	t.Parallel()
	q := ask(t, kitChannel())
	q.asks("1")
	began := q.log[0].Time
	expires := func(after time.Duration) bool {
		_, ok := q.conversation().Expire(q.channel, began.Add(after))
		return ok
	}
	q.channel.Desk.CloseAfter = 60
	if expires(59*time.Second) || !expires(60*time.Second) {
		t.Error("a shorter time does not count")
	}
	q.channel.Desk.CloseAfter = 7200
	if expires(59*time.Minute) || !expires(time.Hour) {
		t.Error("a longer time counts before there is an activity")
	}
	q.asks("2")
	began = q.log[1].Time
	if expires(time.Hour) || !expires(2*time.Hour) {
		t.Error("a longer time does not count after an activity")
	}
}

// Ensure that an operator who writes has the conversation from then on, unless
// another operator has it (voximplant-kit.md 8.4).
func TestEpisode_operatorTakesOver(t *testing.T) {
	t.Parallel()
	bot := kitChannel()
	bot.Desk.Queue, bot.Desk.Function = 0, 4
	tests := map[string]struct {
		channel domain.Channel
		before  func(*request)
		sender  *domain.Sender
		agent   string
	}{
		"out of a queue":     {kitChannel(), func(q *request) { q.asks("1") }, petra().Sender(), "31"},
		"from a function":    {bot, func(q *request) { q.asks("1"); q.says(domain.BotSender()) }, petra().Sender(), "31"},
		"of another's desk":  {kitChannel(), func(q *request) { q.asks("1") }, domain.SenderOf("acme", "desk/petra"), "desk/petra"},
		"nobody was there":   {kitChannel(), func(*request) {}, petra().Sender(), "31"},
		"after the close":    {kitChannel(), func(q *request) { q.asks("1"); q.close() }, petra().Sender(), "31"},
		"who says no name":   {kitChannel(), func(q *request) { q.asks("1") }, nil, ""},
		"unless one has it":  {kitChannel(), func(q *request) { q.asks("1"); q.assign(domain.Assignment{To: domain.HandlerAgent, AgentID: "8"}) }, petra().Sender(), "8"},
		"also from himself":  {kitChannel(), func(q *request) { q.asks("1"); q.says(petra().Sender()) }, petra().Sender(), "31"},
		"after unassignment": {kitChannel(), func(q *request) { q.asks("1"); q.assign(domain.Assignment{To: domain.HandlerUnassigned}) }, petra().Sender(), "31"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := ask(t, test.channel)
			test.before(q)
			handled := q.episode.HandledAt != nil && q.episode.Open
			q.says(test.sender)
			c := q.conversation()
			if c.Status != domain.StatusOpen || c.Handler != domain.HandlerAgent || c.AgentID != test.agent {
				t.Fatalf("%s, %s of %q", c.Status, c.Handler, c.AgentID)
			}
			if at := q.log[len(q.log)-1].Time; !handled && !q.episode.HandledAt.Equal(at) {
				t.Errorf("handled at %s, want %s", q.episode.HandledAt, at)
			}
			if until := q.episode.WaitsUntil(); until != nil {
				t.Errorf("waits until %s", until)
			}
		})
	}
}

// Ensure that a message after the close opens the next episode where the channel
// sends it, and that it begins with nothing of the one before but what outlives it.
func TestEpisode_reopens(t *testing.T) {
	t.Parallel()
	q := ask(t, kitChannel())
	topic := int64(5)
	q.append(q.channel.Receive(visitor, "1", q.now, text("hello"), &domain.Profile{FirstName: "Una"}, q.now))
	q.assign(domain.Assignment{To: domain.HandlerQueue, Queue: 9, Skills: []domain.SkillLevel{{Skill: 2, Level: 3}}, Priority: 4})
	q.mark(domain.Marks{Tags: []int64{3, 1, 3}, Topic: &topic, Variables: domain.Texts{"city": "Riga"}, Custom: domain.Texts{"k": "1"}})
	q.says(petra().Sender())
	if tags := q.episode.Tags; !slices.Equal(tags, []int64{1, 3}) {
		t.Errorf("tags %v", tags)
	}
	q.close()
	c := q.conversation()
	if c.Status != domain.StatusClosed || c.CloseReason != domain.ClosedByAgent || !c.ClosedAt.Equal(q.log[4].Time) {
		t.Fatalf("closed: %+v", c)
	}
	q.says(domain.BotSender()) // opens none
	if q.conversation().Status != domain.StatusClosed {
		t.Fatal("a bot has opened it")
	}
	q.asks("2")
	want := domain.Episode{
		Number: 2, Open: true, Handler: domain.HandlerQueue, Queue: 7, OpenedAt: q.log[6].Time,
		Variables: domain.Texts{"city": "Riga"}, Profile: domain.Profile{FirstName: "Una"},
		Messages: 4, StartsWith: 4, Inbound: q.log[6].ID, InboundAt: q.log[6].Time,
		Handling: q.log[6].ID, HandlingAt: q.log[6].Time, Activity: q.log[6].ID, ActivityAt: q.log[6].Time,
		Wait: 300, CloseAfter: 3600, BotClose: 600, Heard: q.episode.Heard,
	}
	if diff := cmp.Diff(want, q.episode); diff != "" {
		t.Errorf("second episode (-want +got):\n%s", diff)
	}
	c = q.conversation()
	if c.Status != domain.StatusOpen || c.Episode != 2 || c.Messages != 4 || c.ClosedAt != nil || c.CloseReason != "" {
		t.Errorf("conversation: %+v", c)
	}
}

// Ensure that an event that is told again changes nothing within 24 hours, and is
// another one after that (voximplant-kit.md 4.6).
func TestEpisode_repeats(t *testing.T) {
	t.Parallel()
	q := ask(t, kitChannel())
	q.asks("1")
	q.pause(domain.RepeatWindow - 2*time.Second) // a second has passed, and one until it is told
	before := q.episode
	if q.asks("1") {
		t.Error("a repeat at the end of the window took effect")
	}
	if diff := cmp.Diff(before, q.episode); diff != "" {
		t.Errorf("a repeat changed the episode:\n%s", diff)
	}
	if !q.asks("1") {
		t.Error("the same ids a day later are no repeat")
	}
	if n := len(q.thread.Messages); n != 2 || q.conversation().Messages != 2 {
		t.Errorf("%d messages of %d", n, q.conversation().Messages)
	}
	if q.again(2) {
		t.Error("a record that landed twice took effect")
	}
	if n := len(q.thread.Messages); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// Ensure that what the contact centre says is said once, however late it is told again.
func TestEpisode_sentIsSaidOnce(t *testing.T) {
	t.Parallel()
	q := ask(t, kitChannel())
	q.asks("1")
	q.says(petra().Sender())
	q.close()
	q.pause(2 * domain.RepeatWindow)
	before := q.conversation()
	r := q.log[1]
	r.Time = q.now
	q.thread.Apply(r)
	if diff := cmp.Diff(before, q.conversation()); diff != "" {
		t.Errorf("changed:\n%s", diff)
	}
}

// Ensure that as many events are known as the episode keeps, the newest ones.
func TestEpisode_heardIsBounded(t *testing.T) {
	t.Parallel()
	q := ask(t, kitChannel())
	for i := range domain.MaxHeard + 10 {
		q.asks(fmt.Sprint(i))
	}
	if n := len(q.episode.Heard); n != domain.MaxHeard {
		t.Errorf("%d events are kept", n)
	}
	if q.again(10) {
		t.Error("the oldest that is kept is not known")
	}
	q.pause(domain.RepeatWindow)
	q.asks("x")
	if n := len(q.episode.Heard); n != 1 {
		t.Errorf("%d events are kept after a day", n)
	}
}

// Ensure that a decision does nothing when the conversation has moved on since it
// was made: what was stored first counts (voximplant-kit.md 8.5).
func TestEpisode_voidDecisions(t *testing.T) {
	t.Parallel()
	expire := func(q *request) domain.Event {
		e, ok := q.conversation().Expire(q.channel, q.now.Add(time.Hour))
		if !ok {
			q.t.Fatal("the timer has not run out")
		}
		return e
	}
	leave := func(q *request) domain.Event {
		e, ok := q.conversation().GiveUpWaiting(q.channel, q.now.Add(time.Hour))
		if !ok {
			q.t.Fatal("waits on")
		}
		return e
	}
	give := func(q *request) domain.Event { return q.conversation().Distribute(q.channel, petra(), q.now) }
	hangUp := func(q *request) domain.Event {
		e, err := q.conversation().Close(q.channel, domain.Closing{Reason: domain.ClosedByUnknown}, q.now)
		if err != nil {
			q.t.Fatal(err)
		}
		return e
	}
	finish := func(q *request) domain.Event {
		s := q.conversation().State
		return q.channel.Answer(domain.Answering{
			ContactRef: visitor, Conversation: q.conversation().ID, Handling: s.Handling, Inbound: s.Inbound, ID: uuid.New(),
		}, domain.FunctionReply{Finish: true}, q.now)[0]
	}
	transfer := func(q *request) domain.Event {
		s := q.conversation().State
		return q.channel.Answer(domain.Answering{
			ContactRef: visitor, Conversation: q.conversation().ID, Handling: s.Handling, Inbound: s.Inbound, ID: uuid.New(),
		}, domain.FunctionReply{Transfer: &domain.Assignment{To: domain.HandlerQueue, Queue: 9}}, q.now)[0]
	}
	nothing := func(*request) {}
	inbound := func(q *request) { q.asks("2") }
	answer := func(q *request) { q.says(petra().Sender()) }
	tag := func(q *request) { q.mark(domain.Marks{Tags: []int64{1}}) }
	closed := func(q *request) { q.close() }
	tests := map[string]struct {
		decide    func(*request) domain.Event
		meanwhile func(*request)
		took      bool
	}{
		"timer":                     {expire, nothing, true},
		"timer, inbound":            {expire, inbound, false},
		"timer, answer":             {expire, answer, false},
		"timer, tag":                {expire, tag, false},
		"timer, closed":             {expire, closed, false},
		"timer, reopened":           {expire, func(q *request) { q.close(); q.asks("2") }, false},
		"end of wait":               {leave, nothing, true},
		"end of wait, inbound":      {leave, inbound, true},
		"end of wait, taken":        {leave, answer, false},
		"distribution":              {give, inbound, true},
		"distribution, taken":       {give, answer, false},
		"distribution, given":       {give, func(q *request) { q.append(give(q)) }, false},
		"distribution, closed":      {give, closed, false},
		"distribution, other queue": {give, func(q *request) { q.assign(domain.Assignment{To: domain.HandlerQueue, Queue: 9}) }, false},
		"close, answer":             {hangUp, answer, true},
		"close, inbound":            {hangUp, inbound, false},
		"close, reopened by agent":  {hangUp, func(q *request) { q.close(); q.says(petra().Sender()) }, false},
		"finish, tag":               {finish, tag, true},
		"finish, inbound":           {finish, inbound, false},
		"transfer, inbound":         {transfer, inbound, true},
		"transfer, taken":           {transfer, answer, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := ask(t, kitChannel())
			q.asks("1")
			e := test.decide(q)
			test.meanwhile(q)
			before := q.conversation()
			state := *before.State
			took := q.append(e)
			if took != test.took {
				t.Fatalf("took effect: %t", took)
			}
			if took {
				if q.again(len(q.log) - 1) {
					t.Error("took effect twice")
				}
				return
			}
			before.State = &state
			if diff := cmp.Diff(before, q.conversation()); diff != "" {
				t.Errorf("changed:\n%s", diff)
			}
		})
	}
}

// Ensure that events about a conversation that is not there make none, and that a
// bot that writes to somebody who never wrote opens nothing.
func TestEpisode_nobodyWrote(t *testing.T) {
	t.Parallel()
	q := ask(t, kitChannel())
	id := domain.ConversationID(q.channel.ID, visitor)
	for _, data := range []domain.Data{
		domain.ConversationAssigned{ConversationID: id, To: domain.HandlerAgent, AgentID: "31"},
		domain.ConversationMarked{ConversationID: id, Tags: []int64{1}},
		domain.ConversationClosed{ConversationID: id, Reason: domain.ClosedByUnknown},
	} {
		e := q.channel.Receive(visitor, "1", q.now, text(""), nil, q.now)
		e.ID, e.Data = uuid.New(), data
		if q.append(e) || len(q.thread.Conversations) != 0 {
			t.Errorf("%T took effect", data)
		}
	}
	q.says(domain.BotSender())
	c := q.conversation()
	if c.Status != domain.StatusClosed || c.Episode != 0 || c.Messages != 1 || c.Handler != domain.HandlerUnassigned || c.OpenedAt.IsZero() {
		t.Errorf("conversation: %+v", c)
	}
	if _, ok := c.Expire(q.channel, q.now.Add(24*time.Hour)); ok {
		t.Error("something has a timer")
	}
}

// Ensure that what functions note is bounded, whatever they name.
func TestEpisode_marksAreBounded(t *testing.T) {
	t.Parallel()
	q := ask(t, kitChannel())
	q.asks("1")
	for i := range 3 {
		var tags []int64
		variables, custom := domain.Texts{}, domain.Texts{}
		for n := range domain.MaxTags * 2 / 3 {
			tags = append(tags, int64(1000*(3-i)+n))
			variables[fmt.Sprintf("%d-%03d", i, n)] = "x"
		}
		custom["same"] = strings.Repeat(fmt.Sprint(i), domain.MaxMarksBytes/2)
		custom[fmt.Sprint("other", i)] = strings.Repeat("y", domain.MaxMarksBytes/3)
		q.mark(domain.Marks{Tags: tags, Variables: variables, Custom: custom})
	}
	size := 0
	for name, text := range q.episode.Custom {
		size += len(name) + len(text)
	}
	if len(q.episode.Tags) != domain.MaxTags || len(q.episode.Variables) != domain.MaxMarkNames || size > domain.MaxMarksBytes {
		t.Errorf("%d tags, %d variables, %d bytes", len(q.episode.Tags), len(q.episode.Variables), size)
	}
	if got := q.episode.Custom["same"]; got == "" || got[0] != '2' {
		t.Error("a name that is known is not told anew")
	}
	if _, ok := q.episode.Variables["1-000"]; !ok {
		t.Error("the first of the new names is not known")
	}
}

// Ensure that an episode is the same after it was stored.
func TestEpisode_isStoredWhole(t *testing.T) {
	t.Parallel()
	q := ask(t, kitChannel())
	latitude, topic := 56.9, int64(2)
	q.append(q.channel.Receive(visitor, "1", q.now, text("hello"), &domain.Profile{
		DisplayName: "Una", Visit: &domain.Visit{UTM: domain.Texts{"source": "ad"}, Latitude: &latitude},
	}, q.now))
	q.assign(domain.Assignment{To: domain.HandlerBot, Function: 4})
	q.mark(domain.Marks{Tags: []int64{1}, Topic: &topic, Variables: domain.Texts{"a": "b"}})
	q.says(domain.BotSender())
	q.assign(domain.Assignment{To: domain.HandlerQueue, Queue: 9, Wait: 60, Skills: []domain.SkillLevel{{Skill: 1, Level: 2}}, Priority: 3})
	q.close()
	stored, err := json.Marshal(q.episode)
	if err != nil {
		t.Fatal(err)
	}
	var read domain.Episode
	if err := json.Unmarshal(stored, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(q.episode, read); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}
