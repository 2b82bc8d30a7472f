package projections_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// desk is a small installation with two channels, of two accounts.
type desk struct {
	reads *projections.Reads
	phone domain.Channel // of the account default
	other domain.Channel // of another
	log   []domain.Recorded
	now   time.Time
}

func newDesk() *desk {
	chs := theChannels()
	return &desk{phone: chs[0], other: chs[1], now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
}

func (d *desk) add(e domain.Event) {
	d.log = append(d.log, domain.Recorded{Event: e, Position: domain.Position{Partition: partition, Offset: int64(len(d.log))}})
	d.now = d.now.Add(time.Second)
}

func (d *desk) says(ch domain.Channel, ref, external, text string, profile *domain.Profile) {
	d.add(ch.Receive(ref, external, d.now, domain.Content{Type: domain.ContentText, Text: text}, profile, d.now))
}

// opened puts the log into rows.
func (d *desk) opened(t *testing.T) *desk {
	t.Helper()
	pool := database(t)
	mustProject(t, pool, d.log...)
	d.reads = projections.NewReads(pool)
	return d
}

// walk reads a list to its end in pages of that size.
func walk[T any](t *testing.T, size int, list func(domain.Page) ([]T, string, error)) []T {
	t.Helper()
	var all []T
	for page := (domain.Page{Limit: size}); ; {
		part, next, err := list(page)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) > size {
			t.Fatalf("a page of %d has %d entries", size, len(part))
		}
		all = append(all, part...)
		if next == "" {
			return all
		}
		page.After = next
	}
}

func refs(list []domain.Conversation) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.ContactRef)
	}
	return out
}

// Ensure that what the fold knows is what the reads give.
func TestReads_giveWhatWasFolded(t *testing.T) {
	t.Parallel()
	d := newDesk()
	zone := 1.0
	d.says(d.phone, "+15550101", "m1", "hello", &domain.Profile{FirstName: "Ada", Timezone: &zone})
	reply := domain.DeriveID("test", "reply")
	d.add(d.phone.Send("+15550101", reply, domain.Content{Type: domain.ContentQuickReply, Title: "Which?", Replies: []string{"a", "b"}}, "desk", d.now))
	d.opened(t)
	thread := domain.NewThread()
	for _, r := range d.log {
		thread.Apply(r)
	}
	ctx, id := t.Context(), domain.ConversationID(d.phone.ID, "+15550101")

	conversation, err := d.reads.Conversation(ctx, "default", id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*thread.Conversations[id], conversation); diff != "" {
		t.Errorf("conversation (-folded +read):\n%s", diff)
	}
	contact, err := d.reads.Contact(ctx, "default", conversation.ContactID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*thread.Contacts[conversation.ContactID], contact); diff != "" {
		t.Errorf("contact (-folded +read):\n%s", diff)
	}
	message, err := d.reads.Message(ctx, "default", reply)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*thread.Messages[reply], message); diff != "" {
		t.Errorf("message (-folded +read):\n%s", diff)
	}
}

// Ensure that another account's things are not found, by whatever road.
func TestReads_accountsAreApart(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.says(d.phone, "+15550101", "m1", "hello", nil)
	d.opened(t)
	ctx := t.Context()
	conversation := domain.ConversationID(d.phone.ID, "+15550101")
	contact := domain.ContactID(d.phone.ID, "+15550101")
	message := domain.MessageID(d.phone.ID, "+15550101", domain.In, "m1")

	errs := map[string]error{}
	_, errs["conversation"] = d.reads.Conversation(ctx, "other", conversation)
	_, errs["contact"] = d.reads.Contact(ctx, "other", contact)
	_, errs["message"] = d.reads.Message(ctx, "other", message)
	_, _, errs["messages"] = d.reads.Messages(ctx, "other", conversation, domain.Page{})
	_, _, errs["messages of nothing"] = d.reads.Messages(ctx, "default", uuid.New(), domain.Page{})
	for what, err := range errs {
		if domain.CodeOf(err) != domain.CodeNotFound {
			t.Errorf("%s: got %v, want not found", what, err)
		}
	}
	conversations, _, err := d.reads.Conversations(ctx, domain.ConversationFilter{Account: "other", Channel: d.phone.ID, Contact: contact.String()}, domain.Page{})
	if err != nil || len(conversations) > 0 {
		t.Errorf("got %d conversations and %v, want none", len(conversations), err)
	}
	contacts, _, err := d.reads.Contacts(ctx, domain.ContactFilter{Account: "other", Channel: d.phone.ID}, domain.Page{})
	if err != nil || len(contacts) > 0 {
		t.Errorf("got %d contacts and %v, want none", len(contacts), err)
	}
}

// Ensure that conversations are listed by their newest message, narrowed by
// each filter, in pages of whatever size, also when many share a moment.
func TestReads_conversations(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.says(d.phone, "+15550101", "m1", "hello", &domain.Profile{FirstName: "Ada", LastName: "Example"})
	d.says(d.phone, "+15550102", "m1", "100% of it", nil)
	d.says(d.other, "ref_3", "m1", "elsewhere", nil)
	d.says(d.phone, "+15550103", "m1", "ÉLAN, good bye", nil)
	seen := domain.Conversation{
		ID: domain.ConversationID(d.phone.ID, "+15550103"), ContactRef: "+15550103", Status: domain.StatusOpen,
		LastMessage: domain.MessageID(d.phone.ID, "+15550103", domain.In, "m1"),
	}
	closed, err := seen.Close(d.phone, domain.Closing{By: "desk"}, d.now)
	if err != nil {
		t.Fatal(err)
	}
	d.add(closed)
	d.says(d.phone, "+15550101", "m2", "still there?", nil)
	d.opened(t)

	tests := []struct {
		name   string
		filter domain.ConversationFilter
		want   []string
	}{
		{"all", domain.ConversationFilter{}, []string{"+15550101", "+15550103", "+15550102"}},
		{"of a channel", domain.ConversationFilter{Channel: d.phone.ID}, []string{"+15550101", "+15550103", "+15550102"}},
		{"of a channel of somebody else", domain.ConversationFilter{Channel: d.other.ID}, nil},
		{"open", domain.ConversationFilter{Status: domain.StatusOpen}, []string{"+15550101", "+15550102"}},
		{"closed", domain.ConversationFilter{Status: domain.StatusClosed}, []string{"+15550103"}},
		{"by reference", domain.ConversationFilter{Contact: "+15550102"}, []string{"+15550102"}},
		{"by contact", domain.ConversationFilter{Contact: domain.ContactID(d.phone.ID, "+15550102").String()}, []string{"+15550102"}},
		{"by last text", domain.ConversationFilter{Search: "STILL"}, []string{"+15550101"}},
		{"by an older text", domain.ConversationFilter{Search: "hello"}, nil},
		{"by name", domain.ConversationFilter{Search: "ada ex"}, []string{"+15550101"}},
		{"by part of a reference", domain.ConversationFilter{Search: "0103"}, []string{"+15550103"}},
		{"by a letter outside ASCII", domain.ConversationFilter{Search: "élan"}, []string{"+15550103"}},
		{"a percent sign is one", domain.ConversationFilter{Search: "100%"}, []string{"+15550102"}},
		{"and finds nothing else", domain.ConversationFilter{Search: "h%o"}, nil},
		{"nor does an underscore", domain.ConversationFilter{Search: "goo_"}, nil},
		{"nor a backslash", domain.ConversationFilter{Search: `\`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.filter.Account = "default"
			for size := 1; size <= 4; size++ {
				got := walk(t, size, func(p domain.Page) ([]domain.Conversation, string, error) {
					return d.reads.Conversations(t.Context(), tt.filter, p)
				})
				if diff := cmp.Diff(tt.want, refs(got)); diff != "" {
					t.Errorf("in pages of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

// Ensure that entries of the same moment are each listed once.
func TestReads_sameMoment(t *testing.T) {
	t.Parallel()
	d := newDesk()
	for i := range 7 {
		d.says(d.phone, fmt.Sprintf("+1555010%d", i), "m1", "hello", nil)
		d.now = d.now.Add(-time.Second)
	}
	d.opened(t)
	conversations := walk(t, 2, func(p domain.Page) ([]domain.Conversation, string, error) {
		return d.reads.Conversations(t.Context(), domain.ConversationFilter{Account: "default"}, p)
	})
	contacts := walk(t, 3, func(p domain.Page) ([]domain.Contact, string, error) {
		return d.reads.Contacts(t.Context(), domain.ContactFilter{Account: "default"}, p)
	})
	listed := refs(conversations)
	slices.Sort(listed)
	if listed = slices.Compact(listed); len(listed) != 7 || len(conversations) != 7 || len(contacts) != 7 {
		t.Errorf("listed %d conversations (%v) and %d contacts, want 7 each", len(conversations), listed, len(contacts))
	}
}

// Ensure that contacts are found by all that a search may look at.
func TestReads_contacts(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.says(d.phone, "+15550101", "m1", "hello", &domain.Profile{FirstName: "Ada", Email: "a.b@example.com"})
	d.says(d.phone, "+15550102", "m1", "hello", &domain.Profile{LastName: "Bee", Phone: "+15559999"})
	d.says(d.other, "x", "m1", "hello", nil)
	d.opened(t)
	for search, want := range map[string][]string{
		"": {"+15550102", "+15550101"}, "ADA": {"+15550101"}, "a.b@": {"+15550101"}, "9999": {"+15550102"},
		"bee": {"+15550102"}, "+1555010": {"+15550102", "+15550101"}, "nobody": nil, "a_b": nil,
	} {
		got := walk(t, 1, func(p domain.Page) ([]domain.Contact, string, error) {
			return d.reads.Contacts(t.Context(), domain.ContactFilter{Account: "default", Channel: d.phone.ID, Search: search}, p)
		})
		var found []string
		for _, c := range got {
			found = append(found, c.Ref)
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("search %q (-want +got):\n%s", search, diff)
		}
	}
}

// Ensure that a page of a search ends when it has looked through enough, and
// that the next goes on behind it.
func TestReads_searchIsBounded(t *testing.T) {
	t.Parallel()
	pool := database(t)
	_, err := pool.Exec(t.Context(), `insert into contacts
		select gen_random_uuid(), 'default', 'c', 'ref' || n, '{}', case when n = 1 then 'needle' else 'hay' end, ts, ts
		from generate_series(1, 45000) n, lateral (select timestamptz '2026-01-01' + n * interval '1 second' as ts) t`)
	if err != nil {
		t.Fatal(err)
	}
	reads, page, pages := projections.NewReads(pool), domain.Page{Limit: 5}, 0
	for {
		found, next, err := reads.Contacts(t.Context(), domain.ContactFilter{Account: "default", Search: "needle"}, page)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		if len(found) == 1 && next == "" {
			break
		}
		if len(found) > 0 || next == "" {
			t.Fatalf("page %d has %d contacts and the cursor %q", pages, len(found), next)
		}
		page.After = next
	}
	if pages != 3 {
		t.Errorf("it took %d pages, want 3", pages)
	}
}

// Ensure that messages come in the order of the log, whatever the senders' clocks say.
func TestReads_messages(t *testing.T) {
	t.Parallel()
	d := newDesk()
	var want []string
	for i := range 7 {
		external := fmt.Sprint("m", i)
		want = append(want, external)
		d.add(d.phone.Receive("+15550101", external, d.now.Add(-time.Duration(i)*time.Hour), domain.Content{Type: domain.ContentText, Text: "hello"}, nil, d.now))
		d.says(d.phone, "+15550102", external, "in between", nil)
	}
	d.opened(t)
	id := domain.ConversationID(d.phone.ID, "+15550101")
	for size := 1; size <= 8; size++ {
		got := walk(t, size, func(p domain.Page) ([]domain.Message, string, error) {
			return d.reads.Messages(t.Context(), "default", id, p)
		})
		var found []string
		for _, m := range got {
			found = append(found, m.ExternalID)
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("in pages of %d (-want +got):\n%s", size, diff)
		}
	}
}

// Ensure that a cursor is only good for the list that gave it.
func TestReads_badCursors(t *testing.T) {
	t.Parallel()
	d := newDesk()
	d.says(d.phone, "+15550101", "m1", "hello", nil)
	d.says(d.phone, "+15550101", "m2", "hello", nil)
	d.opened(t)
	id := domain.ConversationID(d.phone.ID, "+15550101")
	_, of, err := d.reads.Messages(t.Context(), "default", id, domain.Page{Limit: 1})
	if err != nil || of == "" {
		t.Fatalf("got the cursor %q and %v", of, err)
	}
	word := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, cursor := range []string{"x", "%", word("c1 1"), word("c1 a b"), word("p1 1 2"), word("m1 1 2 3"), word("m1 1 x"), word("c9 1 " + uuid.NewString())} {
		_, _, err := d.reads.Conversations(t.Context(), domain.ConversationFilter{Account: "default"}, domain.Page{After: cursor})
		bad(t, "conversations", cursor, err)
		_, _, err = d.reads.Contacts(t.Context(), domain.ContactFilter{Account: "default"}, domain.Page{After: cursor})
		bad(t, "contacts", cursor, err)
		_, _, err = d.reads.Messages(t.Context(), "default", id, domain.Page{After: cursor})
		bad(t, "messages", cursor, err)
	}
	_, _, err = d.reads.Conversations(t.Context(), domain.ConversationFilter{Account: "default"}, domain.Page{After: of})
	bad(t, "conversations", of, err)
}

func bad(t *testing.T, list, cursor string, err error) {
	t.Helper()
	var e *domain.Error
	if domain.CodeOf(err) != domain.CodeInvalid {
		t.Errorf("%s with the cursor %q: got %v, want invalid", list, cursor, err)
	} else if e = err.(*domain.Error); e.Field != "cursor" { //nolint:errorlint // it is returned as it is
		t.Errorf("%s with the cursor %q: it is about %q", list, cursor, e.Field)
	}
}
