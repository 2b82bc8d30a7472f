package channelx

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parley-im/parley/domain"
)

// register makes a person, which must succeed.
func (l *ledger) register(t testing.TB, d *desk, a actor, in personInput, link *linkInput) (domain.PersonSeen, *domain.Identity) {
	t.Helper()
	p, i, err := d.registerPerson(t.Context(), a, in, link)
	if err != nil {
		t.Fatal(err)
	}
	return p, i
}

func TestPersonIsRegistered(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.hooks = []domain.Webhook{{Number: 1}, {Number: 2, Channel: "bridge"}}
	d := l.desk(t)
	p, i := l.register(t, d, byAdmin(), personInput{
		Name: "Ana\x00 Prado", Email: " Ana@Example.COM", Phone: "+15550100", Identifier: "crm-1", Custom: domain.Object{"n": 1, "list": []string{"a"}},
	}, &linkInput{Channel: *l.bridge()})
	if p.ID != 1 || p.Name != "Ana Prado" || p.Email != "ana@example.com" || p.Custom["n"] != float64(1) || i.PersonID != 1 || len(i.SourceID) != 36 ||
		i.Revision != 1 || i.Claimed || len(p.Identities) != 1 || p.CreatedAt.IsZero() {
		t.Errorf("got %+v with %+v", p, i)
	}
	equal(t, "events", l.since(0), []string{"registered w:contact_created"})
	if told := l.log[0].Data.(domain.ContactRegistered).Targets; !slices.Equal(told, []string{"hook~acme~1"}) {
		t.Errorf("told to %v", told)
	}
	if l.log[0].Stream() != "people~acme/1" {
		t.Errorf("it is on %s", l.log[0].Stream())
	}
	if p, i := l.register(t, d, byAdmin(), personInput{}, nil); p.ID != 2 || i != nil {
		t.Errorf("with nothing: %+v, %+v", p, i)
	}
	n := l.length()
	for name, c := range map[string]struct {
		in    personInput
		link  *linkInput
		texts string
		names []string
	}{
		"all taken": {
			personInput{Email: "ANA@example.com", Phone: "+15550100", Identifier: "crm-1"}, &linkInput{Channel: *l.bridge(), SourceID: i.SourceID},
			"Identifier has already been taken, Email has already been taken, Phone number has already been taken, Source has already been taken",
			[]string{"identifier", "email", "phone_number", "source_id"},
		},
		"another's source id": {personInput{Name: "Bo"}, &linkInput{Channel: *l.bridge(), SourceID: i.SourceID}, "Source has already been taken", []string{"source_id"}},
		"all wrong": {
			personInput{Name: strings.Repeat("é", 256), Email: "ana", Phone: "15550100"}, nil,
			"Name is too long (maximum is 255 characters), Email Invalid email, Phone number should be in e164 format",
			[]string{"name", "email", "phone_number"},
		},
		"a phone of nowhere":   {personInput{Phone: "+0123456"}, nil, "Phone number should be in e164 format", []string{"phone_number"}},
		"a phone of 16 digits": {personInput{Phone: "+1234567890123456"}, nil, "Phone number should be in e164 format", []string{"phone_number"}},
		"a long source id": {
			personInput{}, &linkInput{Channel: *l.bridge(), SourceID: strings.Repeat("x", 20_001)}, "Source is too long (maximum is 20000 characters)", []string{"source_id"},
		},
	} {
		_, _, err := d.registerPerson(t.Context(), byAdmin(), c.in, c.link)
		record, ok := errors.AsType[invalidRecord](err)
		if !ok || record.Error() != c.texts || !slices.Equal(record.Attributes, c.names) {
			t.Errorf("%s: got %v about %v", name, err, record.Attributes)
		}
	}
	if l.length() != n {
		t.Errorf("something happened: %v", l.since(n))
	}
	// The same source id on another inbox is another.
	if _, other := l.register(t, d, byAdmin(), personInput{}, &linkInput{Channel: l.channels["second"], SourceID: i.SourceID}); other.ID == i.ID {
		t.Errorf("got %+v", other)
	}
	orderly(t, l)
}

func TestContactIsRecognised(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	on := func(source, proven string) *linkInput {
		return &linkInput{Channel: *l.bridge(), SourceID: source, Proven: proven}
	}
	ana, _ := l.register(t, d, byAdmin(), personInput{Name: "Ana", Email: "ana@example.com", Identifier: "crm-1"}, nil)
	bo, first := l.register(t, d, byContact(), personInput{Name: "Bo"}, on("device-1", ""))
	for name, c := range map[string]struct {
		in      personInput
		link    *linkInput
		person  int64
		claimed bool
	}{
		"by the source id":          {personInput{Name: "Ty", Email: "ana@example.com"}, on("device-1", ""), bo.ID, false},
		"by a proven identifier":    {personInput{Identifier: "crm-1"}, on("", "crm-1"), ana.ID, false},
		"by an identifier":          {personInput{Identifier: "crm-1"}, on("", ""), ana.ID, true},
		"by the e-mail":             {personInput{Email: "ANA@example.com"}, on("", ""), ana.ID, true},
		"the identifier goes first": {personInput{Identifier: "crm-1", Email: "nobody@example.com"}, on("", ""), ana.ID, true},
	} {
		p, i := l.register(t, d, byContact(), c.in, c.link)
		if p.ID != c.person || i.PersonID != c.person || i.Claimed != c.claimed {
			t.Errorf("%s: %d, %+v", name, p.ID, i)
		}
	}
	if p, err := d.People.Person(t.Context(), "acme", bo.ID); err != nil || p.Name != "Bo" || len(p.Identities) != 1 || p.Identities[0].ID != first.ID {
		t.Errorf("Bo is %+v, %v", p, err)
	}
	// Who has proved another identifier is not who has the e-mail.
	p, _ := l.register(t, d, byContact(), personInput{Identifier: "crm-2", Email: "ana@example.com"}, on("", "crm-2"))
	if p.ID == ana.ID || p.Email != "" || p.Identifier != "crm-2" || !strings.HasPrefix(p.Name, "visitor-") {
		t.Errorf("got %+v", p)
	}
	orderly(t, l)
}

func TestPersonIsChanged(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.hooks = []domain.Webhook{{Number: 1}}
	d := l.desk(t)
	ana, _ := l.register(t, d, byAdmin(), personInput{Name: "Ana", Email: "ana@example.com", Custom: domain.Object{"plan": "gold"}}, nil)
	l.register(t, d, byAdmin(), personInput{Email: "bo@example.com"}, nil)
	n := l.length()
	p, err := d.changePerson(t.Context(), byAdmin(), ana.ID, personChange{
		Name: new("Ana Prado"), Email: new(""), Phone: new("+15550101"), Custom: domain.Object{"tier": 2}, Additional: domain.Object{"city": "Porto"},
	})
	if err != nil || p.Name != "Ana Prado" || p.Email != "" || p.Custom["plan"] != "gold" || p.Custom["tier"] != float64(2) || p.Additional["city"] != "Porto" {
		t.Errorf("got %+v, %v", p, err)
	}
	equal(t, "a change", l.since(n), []string{
		"person w:contact_updated name email phone_number additional_attributes custom_attributes updated_at",
	})
	n = l.length()
	if _, err := d.changePerson(t.Context(), byAdmin(), ana.ID, personChange{Name: new("Ana Prado"), Custom: domain.Object{"tier": 2}}); err != nil || l.length() != n {
		t.Errorf("the same: %v, %v", l.since(n), err)
	}
	_, err = d.changePerson(t.Context(), byAdmin(), ana.ID, personChange{Email: new("Bo@Example.com")})
	if got := deskRefusal(t, err); got != "Email has already been taken" {
		t.Errorf("got %q", got)
	}
	_, err = d.changePerson(t.Context(), byAdmin(), ana.ID, personChange{Phone: new("1")})
	deskRefusal(t, err)
	if _, err := d.changePerson(t.Context(), byAdmin(), 99, personChange{}); domain.CodeOf(err) != domain.CodeNotFound {
		t.Errorf("nobody: %v", err)
	}
	if p, err = d.labelPerson(t.Context(), byAdmin(), ana.ID, []string{"vip", "new"}); err != nil || !slices.Equal(p.Labels, []string{"new", "vip"}) {
		t.Errorf("got %v, %v", p.Labels, err)
	}
	equal(t, "labels", l.since(n), []string{"person w:contact_updated label_list updated_at"})
	// What contacts leave blank stays, and they keep their identifier.
	if p, err = d.changePerson(t.Context(), byContact(), ana.ID, personChange{Name: new(""), Identifier: new("mine"), Phone: new(" ")}); err != nil || p.Name != "Ana Prado" ||
		p.Identifier != "" || p.Phone != "+15550101" {
		t.Errorf("got %+v, %v", p, err)
	}
	orderly(t, l)
}

func TestPeopleAreMerged(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.hooks = []domain.Webhook{{Number: 1}}
	d := l.desk(t)
	base, _ := l.register(t, d, byAdmin(), personInput{Name: "Ana", Custom: domain.Object{"plan": "gold", "deep": map[string]any{"a": 1}}}, nil)
	other, i := l.register(t, d, byAdmin(), personInput{
		Name: "A. Prado", Email: "ana@example.com", Custom: domain.Object{"plan": "free", "n": 1, "deep": map[string]any{"a": 2, "b": 3}},
	}, &linkInput{Channel: *l.bridge()})
	ticket, err := d.open(t.Context(), byAdmin(), ticketInput{SourceID: i.SourceID})
	if err != nil {
		t.Fatal(err)
	}
	says(t, d, byContact(), ticket.Number, incoming("hi"))
	n := l.length()
	p, err := d.mergePersons(t.Context(), byAdmin(), base.ID, other.ID)
	deep, _ := p.Custom["deep"].(map[string]any)
	if err != nil || p.ID != base.ID || p.Name != "Ana" || p.Email != "ana@example.com" || p.Custom["plan"] != "gold" || p.Custom["n"] != float64(1) ||
		deep["a"] != float64(1) || deep["b"] != float64(3) || len(p.Identities) != 1 || p.Identities[0].Claimed {
		t.Errorf("got %+v, %v", p, err)
	}
	if got := l.since(n); !slices.Equal(got, []string{"merged", "person w:contact_updated email custom_attributes updated_at"}) {
		t.Errorf("told %v", got)
	}
	if _, err := d.People.Person(t.Context(), "acme", other.ID); !notFound(err) {
		t.Errorf("the other is there: %v", err)
	}
	if seen, err := d.Tickets.Ticket(t.Context(), "acme", ticket.Number); err != nil || seen.Person.ID != base.ID {
		t.Errorf("the ticket is of %d, %v", seen.Person.ID, err)
	}
	n = l.length()
	if p, err := d.mergePersons(t.Context(), byAdmin(), base.ID, base.ID); err != nil || p.ID != base.ID || l.length() != n {
		t.Errorf("with themselves: %v", err)
	}
	if _, err := d.mergePersons(t.Context(), byAdmin(), base.ID, other.ID); !notFound(err) {
		t.Errorf("again: %v", err)
	}
	says(t, d, byAdmin(), ticket.Number, outgoing("still works"))
	orderly(t, l)
}

func TestContactIsUnited(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (*ledger, *desk, domain.PersonSeen, *domain.Identity, domain.PersonSeen) {
		t.Helper()
		l := newLedger()
		d := l.desk(t)
		me, i := l.register(t, d, byContact(), personInput{Name: "Bo"}, &linkInput{Channel: *l.bridge()})
		known, _ := l.register(t, d, byAdmin(), personInput{Name: "Ana", Email: "ana@example.com", Phone: "+15550100", Identifier: "crm-1"}, nil)
		return l, d, me, i, known
	}
	t.Run("by the e-mail", func(t *testing.T) {
		t.Parallel()
		l, d, me, i, known := setup(t)
		n := l.length()
		p, err := d.changePerson(t.Context(), byContact(), me.ID, personChange{Email: new("Ana@example.com"), Name: new("Ana P.")})
		if err != nil || p.ID != known.ID || p.Name != "Ana P." || p.Identifier != "crm-1" || len(p.Identities) != 1 || p.Identities[0].ID != i.ID || !p.Identities[0].Claimed {
			t.Errorf("got %+v, %v", p, err)
		}
		equal(t, "events", l.since(n), []string{"merged", "person name updated_at"})
		orderly(t, l)
	})
	t.Run("not with a proof", func(t *testing.T) {
		t.Parallel()
		l, d, me, i, _ := setup(t)
		if v, err := d.verify(t.Context(), byContact(), i.ID, proof{"crm-9"}); err != nil || !v.Verified {
			t.Fatalf("got %+v, %v", v, err)
		}
		_, err := d.changePerson(t.Context(), byContact(), me.ID, personChange{Email: new("ana@example.com")})
		if got := deskRefusal(t, err); got != "Email has already been taken" || len(l.persons) != 2 {
			t.Errorf("got %q", got)
		}
		orderly(t, l)
	})
	t.Run("with two", func(t *testing.T) {
		t.Parallel()
		l, d, me, _, known := setup(t)
		mail, _ := l.register(t, d, byAdmin(), personInput{Email: "other@example.com"}, nil)
		_, err := d.changePerson(t.Context(), byContact(), me.ID, personChange{Email: new("other@example.com"), Phone: new("+15550100")})
		if got := deskRefusal(t, err); got != "Phone number has already been taken" || len(l.persons) != 3 {
			t.Errorf("a phone of somebody with another e-mail: %q", got)
		}
		if _, err := d.changePerson(t.Context(), byAdmin(), known.ID, personChange{Email: new("")}); err != nil {
			t.Fatal(err)
		}
		p, err := d.changePerson(t.Context(), byContact(), me.ID, personChange{Email: new("other@example.com"), Phone: new("+15550100")})
		if err != nil || p.ID != known.ID || p.Email != "other@example.com" || len(l.persons) != 1 || mail.ID == p.ID || len(p.Identities) != 1 {
			t.Errorf("got %+v, %v", p, err)
		}
		orderly(t, l)
	})
}

func TestLostLockOfAPerson(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.lockless = true
	d, second := l.desk(t), l.desk(t)
	base, _ := l.register(t, d, byAdmin(), personInput{Name: "Ana"}, nil)
	other, _ := l.register(t, d, byAdmin(), personInput{Email: "ana@example.com"}, nil)
	was := false
	l.before = func([]domain.Event) {
		if was {
			return
		}
		was = true
		if _, err := second.changePerson(t.Context(), byAdmin(), base.ID, personChange{Name: new("Ana P.")}); err != nil {
			t.Error(err)
		}
	}
	p, err := d.mergePersons(t.Context(), byAdmin(), base.ID, other.ID)
	if err != nil || p.Name != "Ana P." || p.Email != "ana@example.com" || len(l.persons) != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
	orderlyTaken(t, l)
}

func TestPersonIsRemoved(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	ticket := l.conversation(t, d)
	if err := d.removePerson(t.Context(), byAdmin(), ticket.Person.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.removePerson(t.Context(), byAdmin(), ticket.Person.ID); !notFound(err) {
		t.Errorf("again: %v", err)
	}
	if _, _, err := d.post(t.Context(), byAdmin(), ticket.Number, outgoing("x")); !notFound(err) {
		t.Errorf("a post: %v", err)
	}
	// A post that was on its way is void.
	l2 := newLedger()
	l2.lockless = true
	d2, second := l2.desk(t), l2.desk(t)
	ticket = l2.conversation(t, d2)
	was := false
	l2.before = func([]domain.Event) {
		if !was {
			was = true
			if err := second.removePerson(t.Context(), byAdmin(), ticket.Person.ID); err != nil {
				t.Error(err)
			}
		}
	}
	if _, _, err := d2.post(t.Context(), byAdmin(), ticket.Number, outgoing("x")); !notFound(err) {
		t.Errorf("a post on its way: %v", err)
	}
}

func TestIdentityIsLinkedAndVerified(t *testing.T) {
	t.Parallel()
	l := newLedger()
	d := l.desk(t)
	ana, _ := l.register(t, d, byAdmin(), personInput{Identifier: "crm-1"}, nil)
	bo, _ := l.register(t, d, byAdmin(), personInput{Name: "Bo"}, nil)
	n := l.length()
	first, err := d.link(t.Context(), byAdmin(), ana.ID, *l.bridge(), "ext-ana")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := d.link(t.Context(), byAdmin(), ana.ID, *l.bridge(), "ext-ana"); err != nil || again.ID != first.ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	if made, err := d.link(t.Context(), byAdmin(), ana.ID, *l.bridge(), ""); err != nil || made.ID == first.ID || len(made.SourceID) != 36 {
		t.Errorf("another: %+v, %v", made, err)
	}
	equal(t, "events", l.since(n), []string{"linked", "linked"})
	_, err = d.link(t.Context(), byAdmin(), bo.ID, *l.bridge(), "ext-ana")
	if got := deskRefusal(t, err); got != "source_id should be unique" {
		t.Errorf("got %q", got)
	}
	if _, err := d.link(t.Context(), byAdmin(), 99, *l.bridge(), "x"); !notFound(err) {
		t.Errorf("nobody: %v", err)
	}
	n = l.length()
	if _, err := d.verify(t.Context(), byContact(), first.ID, proof{"crm-2"}); err != errUnproven { //nolint:errorlint // as it is
		t.Errorf("another's proof: %v", err)
	}
	if i, err := d.verify(t.Context(), byContact(), first.ID, proof{}); err != nil || i.Verified || l.length() != n {
		t.Errorf("no proof: %+v, %v", i, err)
	}
	for range 2 {
		if i, err := d.verify(t.Context(), byContact(), first.ID, proof{"crm-1"}); err != nil || !i.Verified || i.Revision != 2 {
			t.Errorf("got %+v, %v", i, err)
		}
	}
	equal(t, "proving", l.since(n), []string{"linked"})
	orderly(t, l)
}
