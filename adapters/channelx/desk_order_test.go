package channelx

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/parley-im/parley/domain"
)

// orderly makes sure that what the log tells is one story: nothing in it is void,
// and orderlyTaken.
func orderly(t testing.TB, l *ledger) {
	t.Helper()
	l.mu.Lock()
	l.fold()
	for i, took := range l.taken {
		if !took {
			t.Errorf("event %d is void: %s", i, line(l.log[i]))
		}
	}
	l.mu.Unlock()
	orderlyTaken(t, l)
}

// orderlyTaken checks what took effect: revisions go up, and numbers one by one, ids
// of posts grow, a change of the status is told once, and nobody who should not is
// told of anything.
func orderlyTaken(t testing.TB, l *ledger) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	story := story{
		TB: t, tickets: map[uuid.UUID]domain.Ticket{}, posts: map[int64]domain.Post{}, events: map[uuid.UUID]bool{}, people: map[int64]int{},
	}
	for i, r := range l.log[:l.folded] {
		if l.taken[i] {
			story.read(r)
		}
	}
}

// story is what a log has told so far.
type story struct {
	testing.TB

	tickets map[uuid.UUID]domain.Ticket
	posts   map[int64]domain.Post
	people  map[int64]int
	events  map[uuid.UUID]bool
	turned  uuid.UUID // ticket that was told to have another status; what follows tells the rest
	opened  int64
}

func (s *story) read(r domain.Recorded) {
	if s.events[r.ID] {
		s.Errorf("two events have the id %s", r.ID)
	}
	s.events[r.ID] = true
	turned := s.turned
	s.turned = uuid.Nil
	switch e := r.Data.(type) {
	case domain.ConversationOpened:
		if s.opened++; e.Scene.Ticket.Number != s.opened {
			s.Errorf("ticket %d is the %d. one", e.Scene.Ticket.Number, s.opened)
		}
		s.tickets[e.Scene.Ticket.ID] = domain.Ticket{Status: e.Scene.Ticket.Status}
		s.ticket(r, e.Scene)
	case domain.ConversationTurned:
		if s.tickets[e.ConversationID].Status == e.Scene.Ticket.Status || len(e.Changes) != 1 {
			s.Errorf("%s has not turned: %v", e.Scene.Ticket.Status, e.Changes)
		}
		was := s.tickets[e.ConversationID]
		was.Status = e.Scene.Ticket.Status
		s.tickets[e.ConversationID] = was
		s.ticket(r, e.Scene)
		s.turned = e.ConversationID
	case domain.ConversationChanged:
		if turned != uuid.Nil && (turned != e.ConversationID || e.Changes[0].Name != "status") {
			s.Errorf("a change of the status is followed by %v", e.Changes)
		}
		if len(e.Targets) > 0 && len(e.Changes) == 0 {
			s.Errorf("somebody is told of nothing")
		}
		turned = uuid.Nil
		s.ticket(r, e.Scene)
	case domain.MessageReceived:
		s.post(r, e.Posted, true)
	case domain.MessageSent:
		s.post(r, e.Posted, true)
	case domain.MessageNoted:
		s.post(r, e.Posted, false)
	case domain.MessageChanged:
		s.altered(e.Posted)
	case domain.MessageFailed:
		p := s.posts[e.Posted.Post.ID]
		p.Revision++
		s.posts[p.ID] = p
	case domain.ContactRegistered:
		s.person(e.Person)
	case domain.ContactChanged:
		s.person(e.Person)
	case domain.ContactMerged:
		s.person(e.Person)
	}
	if turned != uuid.Nil {
		s.Errorf("a change of the status is followed by %s", line(r))
	}
}

func (s *story) person(p domain.Person) {
	if p.Revision <= s.people[p.ID] {
		s.Errorf("person %d goes from revision %d to %d", p.ID, s.people[p.ID], p.Revision)
	}
	s.people[p.ID] = p.Revision
}

func (s *story) ticket(r domain.Recorded, scene domain.Scene) {
	was, now := s.tickets[scene.Ticket.ID], scene.Ticket
	switch {
	case now.Revision <= was.Revision:
		s.Errorf("ticket %d goes from revision %d to %d", now.Number, was.Revision, now.Revision)
	case now.Status != was.Status:
		s.Errorf("ticket %d is %s after it was %s, untold", now.Number, now.Status, was.Status)
	case now.Unread < 0 || now.Unread > domain.MaxUnread:
		s.Errorf("ticket %d has %d unread", now.Number, now.Unread)
	case !now.UpdatedAt.Equal(r.Time):
		s.Errorf("ticket %d is of %s at %s", now.Number, now.UpdatedAt, r.Time)
	case now.Status == domain.TicketResolved && was.Status != domain.TicketResolved && now.WaitingSince != nil:
		s.Errorf("ticket %d is resolved, and somebody waits", now.Number)
	case now.Status != domain.TicketSnoozed && now.SnoozedUntil != nil:
		s.Errorf("ticket %d is %s until something", now.Number, now.Status)
	case was.FirstReplyAt != nil && !was.FirstReplyAt.Equal(*now.FirstReplyAt):
		s.Errorf("ticket %d is answered first again", now.Number)
	}
	s.scene(scene)
	s.tickets[now.ID] = now
}

func (s *story) scene(scene domain.Scene) {
	if p := scene.Public; p != nil && (!p.Public() || p.ID != scene.Ticket.LastPublic) {
		s.Errorf("the scene shows post %d, the newest public one is %d", p.ID, scene.Ticket.LastPublic)
	}
}

func (s *story) post(r domain.Recorded, p *domain.Posted, public bool) {
	last := s.tickets[p.Scene.Ticket.ID].LastPost
	switch {
	case p.Post.ID <= last:
		s.Errorf("post %d comes after %d", p.Post.ID, last)
	case p.Post.Revision != 1 || p.Scene.Ticket.LastPost != p.Post.ID:
		s.Errorf("post %d of revision %d, the newest is %d", p.Post.ID, p.Post.Revision, p.Scene.Ticket.LastPost)
	case p.Post.Public() != public:
		s.Errorf("post %d is told as %s", p.Post.ID, line(r))
	case p.Post.Type == domain.PostActivity && len(p.Targets) > 0:
		s.Errorf("somebody is told of an activity: %v", p.Targets)
	}
	s.posts[p.Post.ID] = p.Post
	s.ticket(r, p.Scene)
}

func (s *story) altered(p *domain.Posted) {
	was := s.posts[p.Post.ID]
	if p.Post.Revision != was.Revision+1 || p.Post.ID != was.ID {
		s.Errorf("post %d goes from revision %d to %d", p.Post.ID, was.Revision, p.Post.Revision)
	}
	if p.Post.Type == domain.PostActivity && len(p.Targets) > 0 {
		s.Errorf("somebody is told of an activity: %v", p.Targets)
	}
	if now := p.Scene.Ticket.Revision; now != s.tickets[p.Post.Ticket].Revision {
		s.Errorf("post %d is told with its ticket at %d", p.Post.ID, now)
	}
	s.scene(p.Scene)
	s.posts[p.Post.ID] = p.Post
}

// TestCommandsKeepOrder gives commands at random, some of which make no sense.
func TestCommandsKeepOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		l := newLedger()
		l.hooks = []domain.Webhook{{Number: 1}}
		l.change("bridge", func(ch *domain.Channel) {
			ch.Inbox.Greeting, ch.Inbox.GreetingMessage = rapid.Bool().Draw(r, "greeting"), "Welcome"
			ch.Inbox.WorkingHours, ch.Inbox.OutOfOffice = rapid.Bool().Draw(r, "hours"), "We are back at 9"
			ch.Inbox.LockToSingle = rapid.Bool().Draw(r, "lock to single")
		})
		d := l.desk(t)
		give := commander{l: l, d: d, t: t}
		give.person(r)
		for range rapid.IntRange(5, 25).Draw(r, "commands") {
			give.any(r)
			l.pass(time.Duration(rapid.IntRange(0, 8*3600).Draw(r, "seconds")) * time.Second)
		}
		orderly(failing{t, r}, l)
	})
}

// failing fails the property and not only the test, so that it is made smaller.
type failing struct {
	testing.TB

	r *rapid.T
}

func (f failing) Errorf(format string, args ...any) { f.r.Errorf(format, args...) }
func (f failing) Helper()                           {}

// commander gives commands at random.
type commander struct {
	l *ledger
	d *desk
	t *testing.T
}

// check lets refusals pass, and nothing else.
func (c commander) check(r *rapid.T, err error) {
	if err != nil && !refused(err) && !notFound(err) {
		r.Fatalf("%v", err)
	}
}

func (c commander) person(r *rapid.T) {
	n := rapid.IntRange(0, 3).Draw(r, "person")
	in := personInput{
		Name: "Ana", Email: []string{"", "a@example.com", "b@example.com", "c@example.com"}[n],
		Blocked: rapid.IntRange(0, 5).Draw(r, "blocked") == 0,
	}
	who := []actor{byAdmin(), byContact()}[rapid.IntRange(0, 1).Draw(r, "who")]
	_, _, err := c.d.registerPerson(c.t.Context(), who, in, &linkInput{Channel: *c.l.bridge(), SourceID: []string{"", "one", "two"}[rapid.IntRange(0, 2).Draw(r, "source")]})
	c.check(r, err)
}

func (c commander) any(r *rapid.T) {
	ctx, d := c.t.Context(), c.d
	who := []actor{byAdmin(), byAgent(), byContact()}[rapid.IntRange(0, 2).Draw(r, "actor")]
	ticket := rapid.Int64Range(1, 3).Draw(r, "ticket")
	person := rapid.Int64Range(1, 4).Draw(r, "some person")
	post := rapid.Int64Range(1, 30).Draw(r, "post")
	status := rapid.SampledFrom(append(domain.TicketStatuses, "")).Draw(r, "status")
	var err error
	switch kind := rapid.SampledFrom([]task{
		toRegister, toOpen, toOpen, toTurn, toAssign, toLabel, toPrioritise, toCustomise, toSee, toUnsee, toRead,
		toPost, toPost, toPost, toPost, toSetStatus, toDelete, toRetry, toSubmit, toChange, toMerge, toLabelPerson, toRemove, toType, toLink, toVerify,
	}).Draw(r, "command"); kind {
	case toRegister:
		c.person(r)
	case toOpen:
		in := ticketInput{Channel: c.l.bridge(), Person: person, Status: status, SourceID: rapid.SampledFrom([]string{"", "one", "two"}).Draw(r, "source id")}
		if rapid.Bool().Draw(r, "with a message") {
			in.Message = &postInput{Type: domain.PostType(rapid.IntRange(0, 1).Draw(r, "type")), Content: new("hi")}
		}
		_, err = d.open(ctx, who, in)
	case toTurn:
		until := c.l.now.Add(time.Hour)
		_, err = d.turn(ctx, who, ticket, status, &until)
	case toAssign:
		to := rapid.SampledFrom([]int64{0, 4, 5, 6}).Draw(r, "assignee")
		_, err = d.assign(ctx, who, ticket, &to, nil)
	case toLabel:
		_, err = d.label(ctx, who, ticket, rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", " b ", ""}), 0, 3).Draw(r, "labels"))
	case toPrioritise:
		_, err = d.setPriority(ctx, who, ticket, rapid.SampledFrom([]string{"", "low", "urgent", "odd"}).Draw(r, "priority"))
	case toCustomise:
		_, err = d.setCustom(ctx, who, ticket, domain.Object{"n": rapid.IntRange(0, 2).Draw(r, "n")})
	case toSee:
		_, err = d.seen(ctx, who, ticket)
	case toUnsee:
		_, err = d.unseen(ctx, who, ticket)
	case toRead:
		_, err = d.contactSeen(ctx, who, ticket)
	case toPost:
		in := postInput{
			Type: domain.PostType(rapid.IntRange(0, 3).Draw(r, "message type")), Private: rapid.IntRange(0, 3).Draw(r, "private") == 0,
			Key: rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(r, "key"), Content: new("x"),
		}
		_, _, err = d.post(ctx, who, ticket, in)
	case toSetStatus:
		word := rapid.SampledFrom([]string{"sent", "delivered", "read", "failed", "odd"}).Draw(r, "word")
		_, _, err = d.setStatus(ctx, who, ticket, post, word, new("why"))
	case toDelete:
		_, _, err = d.deletePost(ctx, who, ticket, post)
	case toRetry:
		_, _, err = d.retryPost(ctx, who, ticket, post)
	case toSubmit:
		_, _, err = d.submit(ctx, who, ticket, post, []domain.Object{{"value": "y"}})
	case toChange:
		_, err = d.changePerson(ctx, who, person, personChange{Email: new(rapid.SampledFrom([]string{"", "a@example.com", "b@example.com"}).Draw(r, "email"))})
	case toMerge:
		_, err = d.mergePersons(ctx, who, person, rapid.Int64Range(1, 4).Draw(r, "other"))
	case toLabelPerson:
		_, err = d.labelPerson(ctx, who, person, []string{rapid.SampledFrom([]string{"vip", "new"}).Draw(r, "label")})
	case toRemove:
		if rapid.IntRange(0, 3).Draw(r, "really") == 0 {
			err = d.removePerson(ctx, who, person)
		}
	case toType:
		err = d.typing(ctx, who, ticket, true, false)
	case toLink:
		_, err = d.link(ctx, who, person, *c.l.bridge(), rapid.SampledFrom([]string{"", "one", "two"}).Draw(r, "linked source"))
	case toVerify:
		_, err = d.verify(ctx, who, rapid.Int64Range(1, 6).Draw(r, "identity"), proof{"crm-1"})
	}
	c.check(r, err)
}
