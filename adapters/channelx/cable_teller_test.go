package channelx

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// audience is everybody who may listen: Ana's two identities, Bo's, Rui who is a
// member of the bridge, Bia who is not, and the administrator.
type audience struct {
	s    *studio
	ears map[string]*listener
	seen int
}

var everybody = []string{"ana", "ana's older", "bo", "rui", "bia", "admin"}

func newAudience(t *testing.T) *audience {
	t.Helper()
	s := newStudio(t, newFakeLog())
	boss := domain.OperatorOfToken(s.tokens[adminToken]).ID
	a := &audience{s: s, ears: map[string]*listener{}}
	for name, identifier := range map[string]string{
		"ana": s.contactIdentifier(anas), "ana's older": s.contactIdentifier(anasOld), "bo": s.contactIdentifier(bos),
		"rui": s.userIdentifier(rui), "bia": s.userIdentifier(bia), "admin": s.userIdentifier(boss),
	} {
		a.ears[name] = s.dial(t).subscribes(t, identifier)
	}
	return a
}

// hear appends events and gives what each has heard of them, in order. Something
// that everybody hears marks the end.
func (a *audience) hear(t *testing.T, events ...domain.Event) map[string][]wireFrame {
	t.Helper()
	a.s.log.append(events...)
	a.seen++
	mark := fmt.Sprintf("mark %d", a.seen)
	for _, i := range []domain.Identity{identity(anas, 1001), identity(anasOld, 1002), identity(bos, 1003)} {
		k := newTalk(int64(100_000+a.seen*10)+i.ID%10, i)
		a.s.log.append(k.replies(int64(900_000+a.seen*100)+i.ID, mark))
	}
	a.s.log.append(domain.Event{
		ID: uuid.New(), Account: officeAccount, Dialect: domain.DialectChannelX, Time: time.Now(),
		Data: domain.ContactChanged{Person: domain.Person{ID: int64(900_000 + a.seen), Revision: 2, Name: mark}},
	})
	heard := map[string][]wireFrame{}
	for _, name := range everybody {
		marks := func(f wireFrame) bool { return f.Data["content"] == mark }
		if name == "rui" || name == "bia" || name == "admin" {
			marks = func(f wireFrame) bool { return f.Data["name"] == mark }
		}
		_, before := a.ears[name].take(t, mark+" of "+name, marks)
		heard[name] = slices.DeleteFunc(before, func(f wireFrame) bool { return f.Data["content"] == mark })
	}
	return heard
}

// who gives the events that each heard: "who: event event; who: event".
func who(heard map[string][]wireFrame) string {
	var parts []string
	for _, name := range everybody {
		var events []string
		for _, f := range heard[name] {
			events = append(events, f.Event)
		}
		if len(events) > 0 {
			parts = append(parts, name+": "+strings.Join(events, " "))
		}
	}
	return strings.Join(parts, "; ")
}

// is fails unless what was heard is what is wanted.
func (a *audience) is(t *testing.T, what, want string, events ...domain.Event) map[string][]wireFrame {
	t.Helper()
	heard := a.hear(t, events...)
	if got := who(heard); got != want {
		t.Errorf("%s: heard\n\t%s\nwant\n\t%s", what, got, want)
	}
	return heard
}

func changedTicket(k *talk, by domain.Author, changes ...domain.Change) domain.Event {
	return k.next(func(s domain.Scene) domain.Data {
		return domain.ConversationChanged{Turned: domain.Turned{Scene: s, Changes: changes, By: by}}
	})
}

func typing(k *talk, on, private bool, by domain.Author) domain.Event {
	e := k.who.About(officeAccount, time.Now())
	e.ID, e.Data = uuid.New(), domain.TypingNoticed{On: on, Private: private, By: by, Scene: k.scene()}
	return e
}

func aboutPerson(data domain.Data) domain.Event {
	return domain.Event{ID: uuid.New(), Account: officeAccount, Channel: domain.PeopleChannel(officeAccount), Dialect: domain.DialectChannelX, Time: time.Now(), Data: data}
}

// Ensure that each event is shown to those whom it concerns, and to nobody else.
func TestCableAudiences(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	k := newTalk(1, identity(anas, anasID))
	byRui, byAna := domain.Author{Operator: &ruiOperator}, domain.Author{Contact: true}
	const staff = "rui: %[1]s; admin: %[1]s"
	both := func(event string) string { return fmt.Sprintf("ana: %[1]s; "+staff, event) }

	a.is(t, "a new ticket", both("conversation.created"), k.next(func(s domain.Scene) domain.Data {
		return domain.ConversationOpened{Turned: domain.Turned{Scene: s}}
	}))
	a.is(t, "a message of hers", both("message.created"), k.writes(501, "hi", "e1"))
	a.is(t, "a reply", both("message.created"), k.replies(502, "It ships today."))
	a.is(t, "a note", fmt.Sprintf(staff, "message.created"), k.next(func(s domain.Scene) domain.Data {
		p := k.post(503, domain.PostOutgoing, "she is angry")
		p.Private, p.By = true, byRui
		return domain.MessageNoted{Posted: &domain.Posted{Post: p, Scene: s, By: byRui}}
	}))
	a.is(t, "an activity", fmt.Sprintf(staff, "message.created"), k.next(func(s domain.Scene) domain.Data {
		return domain.MessageNoted{Posted: &domain.Posted{Post: k.post(504, domain.PostActivity, "was opened"), Scene: s}}
	}))
	a.is(t, "a status", both("conversation.status_changed"), k.next(func(s domain.Scene) domain.Data {
		return domain.ConversationTurned{Turned: domain.Turned{Scene: s, Changes: []domain.Change{{Name: "status"}}}}
	}))
	a.is(t, "labels", both("conversation.updated"), changedTicket(k, byRui, domain.Change{Name: "label_list"}))
	a.is(t, "an assignee", "ana: conversation.updated; rui: conversation.updated assignee.changed; admin: conversation.updated assignee.changed",
		changedTicket(k, byRui, domain.Change{Name: "assignee_id"}, domain.Change{Name: "updated_at"}))
	a.is(t, "a team", "ana: conversation.updated; rui: conversation.updated team.changed; admin: conversation.updated team.changed",
		changedTicket(k, byRui, domain.Change{Name: "team_id"}))
	a.is(t, "what nobody is told", "", changedTicket(k, byRui))
	seen := changedTicket(k, byAna)
	at := seen.Time
	changed := seen.Data.(domain.ConversationChanged)
	changed.Scene.Ticket.ContactSeenAt, k.ticket.ContactSeenAt = &at, &at
	seen.Data = changed
	a.is(t, "she has looked", fmt.Sprintf(staff, "conversation.read"), seen)
	a.is(t, "she writes, and has looked before", both("message.created"), k.writes(505, "hello?", ""))

	a.is(t, "she types", fmt.Sprintf(staff, "conversation.typing_on"), typing(k, true, false, byAna))
	a.is(t, "Rui types", "ana: conversation.typing_off; admin: conversation.typing_off", typing(k, false, false, byRui))
	a.is(t, "Rui types a note", "admin: conversation.typing_on", typing(k, true, true, byRui))

	all := func(event string) string { return fmt.Sprintf("rui: %[1]s; bia: %[1]s; admin: %[1]s", event) }
	a.is(t, "a new person", all("contact.created"), aboutPerson(domain.ContactRegistered{Person: domain.Person{ID: 801, Revision: 1}}))
	a.is(t, "a person", all("contact.updated"), aboutPerson(domain.ContactChanged{Person: domain.Person{ID: 801, Revision: 2}}))
	a.is(t, "two who are one", all("contact.merged"), aboutPerson(domain.ContactMerged{Person: domain.Person{ID: 801, Revision: 3}, Merged: 802}))
	a.is(t, "one who goes", all("contact.deleted"), aboutPerson(domain.ContactRemoved{Person: 801}))

	elsewhere := newTalk(2, identity(bos, bosID))
	elsewhere.channel = nightDesk
	a.is(t, "an inbox that Rui does not see", "bo: message.created; admin: message.created", elsewhere.writes(601, "hi", ""))
	foreign := newTalk(3, identity(12345, 999)).writes(701, "hi", "")
	foreign.Account = "umbra"
	a.is(t, "another account", "", foreign)
}

// Ensure that a person who has proved who they are hears everything on all proved
// identities, also when they prove it while they listen, and that two people who
// turn out to be one do.
func TestCableVerifiedIdentities(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	verified := func(id, person int64) domain.Identity {
		i := identity(id, person)
		i.Verified = true
		return i
	}
	k := newTalk(1, identity(anas, anasID))
	const staff = "; rui: message.created; admin: message.created"
	a.is(t, "before", "ana: message.created"+staff, k.replies(501, "one"))
	k.who = verified(anas, anasID)
	a.is(t, "one of them", "ana: message.created"+staff, aboutPerson(domain.ContactLinked{Identity: k.who}), k.replies(502, "two"))
	a.is(t, "both", "ana: message.created; ana's older: message.created"+staff,
		aboutPerson(domain.ContactLinked{Identity: verified(anasOld, anasID)}), k.replies(503, "three"))
	a.is(t, "a note of it", "rui: message.created; admin: message.created", k.next(func(s domain.Scene) domain.Data {
		p := k.post(504, domain.PostOutgoing, "a note")
		p.Private = true
		return domain.MessageNoted{Posted: &domain.Posted{Post: p, Scene: s}}
	}))
	a.is(t, "three", "ana: message.created; ana's older: message.created; bo: message.created; rui: contact.merged message.created; bia: contact.merged; admin: contact.merged message.created",
		aboutPerson(domain.ContactLinked{Identity: verified(bos, bosID)}),
		aboutPerson(domain.ContactMerged{Person: domain.Person{ID: anasID, Revision: 2}, Merged: bosID}), k.replies(505, "four"))

	// A row that is behind the tail does not count.
	late := a.s.dial(t).subscribes(t, strings.Replace(a.s.contactIdentifier(bos), "{", `{"late":1,`, 1))
	a.s.log.append(k.replies(506, "five"))
	late.take(t, "the message", eventIs("message.created"))

	a.s.log.append(aboutPerson(domain.ContactRemoved{Person: anasID}))
	for _, name := range []string{"ana", "ana's older", "bo"} {
		a.ears[name].take(t, "the end of "+name, typeIs("reject_subscription"))
	}
	a.ears["ana"].commands(t, "subscribe", a.s.contactIdentifier(anas))
	a.ears["ana"].take(t, "another rejection", typeIs("reject_subscription"))
}

// Ensure that what landed twice, or was decided by somebody who did not know the
// newest, is not shown.
func TestCableShowsOnce(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	k := newTalk(1, identity(anas, anasID))
	one := k.replies(501, "one")
	two := k.replies(502, "two")
	stale := k.replies(503, "three")
	posted := stale.Data.(domain.MessageSent).Posted
	posted.Scene.Ticket.Revision = 1
	typed := typing(k, true, false, domain.Author{Contact: true})
	person := aboutPerson(domain.ContactChanged{Person: domain.Person{ID: 801, Revision: 2}})
	older := aboutPerson(domain.ContactChanged{Person: domain.Person{ID: 801, Revision: 1}})
	const twice = "message.created " + "message.created"
	a.is(t, "repeats", "ana: "+twice+"; rui: "+twice+" conversation.typing_on contact.updated; bia: contact.updated; "+
		"admin: "+twice+" conversation.typing_on contact.updated",
		one, one, two, one, two, stale, typed, typed, person, person, older)
}

// Ensure what the frames say besides what all views say.
func TestCableData(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	k := newTalk(12, identity(anas, anasID))
	at := func(f wireFrame, path ...any) any { t.Helper(); return at(t, any(f.Data), path...) }

	heard := a.hear(t, k.writes(501, "hi", "e1"))
	f := heard["ana"][0]
	if at(f, "echo_id") != "e1" || at(f, "account_id") != 7.0 || at(f, "message_type") != 0.0 || at(f, "conversation_id") != 12.0 {
		t.Errorf("her message is %s", f.Raw)
	}
	if _, has := f.Data["performer"]; has {
		t.Errorf("nobody performed %s", f.Raw)
	}
	if !strings.HasPrefix(f.Raw, `{"identifier":"{\"channel\":\"RoomChannel\",`) || !strings.Contains(f.Raw, `,"message":{"event":"message.created","data":{`) {
		t.Errorf("the frame is %s", f.Raw)
	}

	f = a.hear(t, k.replies(502, "It ships today."))["ana"][0]
	if at(f, "performer", "id") != float64(rui) || at(f, "performer", "type") != "user" || at(f, "performer", "availability_status") != "online" {
		t.Errorf("Rui's reply is %s", f.Raw)
	}
	if at(f, "sender", "available_name") != "Rui" {
		t.Errorf("its sender is %v", at(f, "sender"))
	}

	read := k.next(func(s domain.Scene) domain.Data {
		p := k.post(502, domain.PostOutgoing, "It ships today.")
		p.Revision, p.Status = 2, domain.StatusRead
		return domain.MessageChanged{Posted: &domain.Posted{Post: p, Scene: s, By: domain.Author{Contact: true}, Changes: []domain.Change{{Name: "status", Previous: "sent", Current: "read"}}}}
	})
	f = a.hear(t, read)["rui"][0]
	if f.Event != "message.updated" || at(f, "status") != "read" || fmt.Sprint(at(f, "previous_changes", "status")) != "[sent read]" {
		t.Errorf("that it was read is %s", f.Raw)
	}

	k.ticket.Status = domain.TicketResolved
	f = a.hear(t, k.next(func(s domain.Scene) domain.Data {
		return domain.ConversationTurned{Turned: domain.Turned{Scene: s, By: domain.Author{Operator: &ruiOperator}}}
	}))["ana"][0]
	if at(f, "status") != "resolved" || at(f, "id") != 12.0 || at(f, "account_id") != 7.0 || at(f, "performer", "id") != float64(rui) || f.Data["account"] != nil {
		t.Errorf("the resolution is %s", f.Raw)
	}

	heard = a.hear(t, typing(k, true, false, domain.Author{Operator: &ruiOperator}), typing(k, true, false, domain.Author{Contact: true}))
	f = heard["ana"][0]
	if at(f, "user", "type") != "user" || at(f, "user", "id") != float64(rui) || at(f, "conversation", "id") != 12.0 || at(f, "is_private") != false || at(f, "account_id") != 7.0 {
		t.Errorf("Rui's typing is %s", f.Raw)
	}
	if f = heard["rui"][0]; at(f, "user", "type") != "contact" || at(f, "user", "name") != "Ana Prado" {
		t.Errorf("Ana's typing is %s", f.Raw)
	}

	first := k.replies(503, "first")
	public := first.Data.(domain.MessageSent).Posted.Post
	answered := changedTicket(k, domain.Author{Operator: &ruiOperator}, domain.Change{Name: "first_reply_created_at", Current: "2026-01-01T12:00:00.000Z"})
	changed := answered.Data.(domain.ConversationChanged)
	changed.Scene.Public = &public
	answered.Data = changed
	heard = a.hear(t, first, answered)
	if got := heard["rui"]; len(got) != 3 || got[2].Event != "first.reply.created" || at(got[2], "id") != 503.0 {
		t.Errorf("a first reply is %s", who(heard))
	}
}

// Ensure that a post that its callback did not take is shown as it is now, not as
// it was when the callback was told.
func TestCableShowsFailures(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	k := newTalk(1, identity(anas, anasID))
	fails := func(id int64, text string, p domain.Post) domain.Event {
		e := k.who.About(officeAccount, time.Now())
		e.ID = domain.DeriveID("failed", fmt.Sprint(id), text)
		after := p.Turn(domain.StatusFailed, &text).Next(time.Now())
		e.Data = domain.MessageFailed{Error: text, Posted: &domain.Posted{Post: after, Scene: k.scene(), Changes: after.Since(p)}}
		return e
	}
	sent := k.replies(501, "secret")
	post := sent.Data.(domain.MessageSent).Posted.Post
	f := a.hear(t, sent, fails(501, "500 Internal Server Error", post))["ana"][1]
	if f.Event != "message.updated" || f.Data["status"] != "failed" || at(t, any(f.Data), "content_attributes", "external_error") != "500 Internal Server Error" ||
		fmt.Sprint(at(t, any(f.Data), "previous_changes", "status")) != "[sent failed]" {
		t.Errorf("the failure is %s", f.Raw)
	}
	a.is(t, "the same once more", "", fails(501, "500 Internal Server Error", post))

	// It is deleted, and then fails as it was told before.
	deleted := post.Delete()
	deleted.Revision = 3
	a.s.mu.Lock()
	a.s.rows[501] = deleted
	a.s.mu.Unlock()
	gone := k.next(func(s domain.Scene) domain.Data {
		return domain.MessageChanged{Posted: &domain.Posted{Post: deleted, Scene: s, Changes: []domain.Change{{Name: "content"}}}}
	})
	heard := a.hear(t, gone, fails(501, "timeout", post))["ana"]
	if len(heard) != 2 || heard[1].Data["content"] != domain.DeletedContent || heard[1].Data["status"] != "failed" {
		t.Errorf("the failure of a deleted post is %v", heard)
	}
	// Where its row cannot be read, nothing is shown.
	a.s.mu.Lock()
	delete(a.s.rows, 501)
	a.s.mu.Unlock()
	a.is(t, "without its row", "", fails(501, "yet another", post))
}

// Ensure that an operator whose token was taken away hears nothing more.
func TestCableForgetsOperators(t *testing.T) {
	t.Parallel()
	a := newAudience(t)
	k := newTalk(1, identity(anas, anasID))
	a.is(t, "before", "ana: message.created; rui: message.created; admin: message.created", k.replies(501, "one"))
	a.s.mu.Lock()
	a.s.revoked = true
	a.s.mu.Unlock()
	for id, timeout := int64(502), time.After(cablePatience); ; id++ {
		a.s.log.append(k.replies(id, "two"))
		a.ears["admin"].take(t, "the message", eventIs("message.created"))
		quoted, err := json.Marshal(a.s.userIdentifier(rui))
		if err != nil {
			t.Fatal(err)
		}
		a.ears["rui"].sends(t, fmt.Sprintf(`{"command":"message","identifier":%s,"data":{"action":"update_presence"}}`, quoted))
		f, _ := a.ears["rui"].take(t, "an answer", func(f wireFrame) bool { return f.Event == "presence.update" || f.Type == "reject_subscription" })
		if f.Type == "reject_subscription" {
			return
		}
		select {
		case <-timeout:
			t.Fatal("Rui still listens")
		default:
		}
	}
}

// Ensure that who subscribes, or says so, is there for others, and is told who is.
func TestCablePresence(t *testing.T) {
	t.Parallel()
	s := newStudio(t, newFakeLog())
	ana := s.dial(t)
	ana.commands(t, "subscribe", s.contactIdentifier(anas))
	f, _ := ana.take(t, "who is there", eventIs("presence.update"))
	if got := fmt.Sprint(f.Data); got != "map[account_id:7 users:map[]]" {
		t.Errorf("Ana was told %s", got)
	}
	ruis := s.dial(t)
	ruis.commands(t, "subscribe", s.userIdentifier(rui))
	if f, _ = ruis.take(t, "who is there", eventIs("presence.update")); fmt.Sprint(f.Data) != "map[account_id:7 contacts:map[77:online] users:map[4:online]]" {
		t.Errorf("Rui was told %v", f.Data)
	}
	quoted, err := json.Marshal(s.contactIdentifier(anas))
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{`"{\"action\":\"update_presence\"}"`, `{"action":"update_presence"}`} {
		ana.sends(t, fmt.Sprintf(`{"command":"message","identifier":%s,"data":%s}`, quoted, data))
		if f, _ = ana.take(t, "who is there", eventIs("presence.update")); fmt.Sprint(f.Data) != "map[account_id:7 users:map[4:online]]" {
			t.Errorf("Ana was told %v", f.Data)
		}
	}
	for timeout := time.After(cablePatience); ; {
		s.mu.Lock()
		contact, operator := s.seen["acme contact 77"], s.seen["acme operator 4"]
		s.mu.Unlock()
		if contact > 0 && operator > 0 {
			if contact > 3 {
				t.Errorf("Ana was written %d times", contact)
			}
			break
		}
		select {
		case <-timeout:
			t.Fatal("who is here was not written")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
