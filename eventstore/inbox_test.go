package eventstore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/domain"
)

// Ensure that an inbox is found by its number, in its account alone, and by its
// identifier, for as long as it has them, on this node and on one that starts later.
func TestInboxIsFound(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)))
	must(t, r.CreateAccount, domain.Account{Name: "acme"})
	made := must(t, r.CreateChannel, anInbox("1001", "acme", 3))
	must(t, r.CreateChannel, anInbox("1002", "acme", 40))
	must(t, r.CreateChannel, aChannel("620418", "token-1")) // has no inbox

	found := func(f *follower, number int64, identifier, want string) {
		t.Helper()
		byNumber, _ := f.ChannelByInbox("acme", number)
		byIdentifier, _ := f.ChannelByIdentifier(identifier)
		if byNumber.ID != want || byIdentifier.ID != want {
			t.Errorf("inbox %d is %q, %s is %q, want %q", number, byNumber.ID, identifier, byIdentifier.ID, want)
		}
	}
	found(r, 3, "names-1001", "1001")
	if ch, _ := r.ChannelByInbox("acme", 3); !cmp.Equal(ch, made) {
		t.Errorf("it is found as another:\n%s", cmp.Diff(made, ch))
	}
	if _, ok := r.ChannelByInbox("default", 3); ok {
		t.Error("another account finds it")
	}
	found(r, 0, "", "")
	if last := r.LastInbox(); last != 40 {
		t.Errorf("the last inbox is %d", last)
	}
	if id := r.opens(""); id != "" {
		t.Errorf("no token opens %s", id)
	}

	if _, err := r.ChangeChannel(t.Context(), "1001", func(ch *domain.Channel) error {
		ch.Inbox.Number, ch.Inbox.Identifier = 5, "other-name"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	found(r, 3, "names-1001", "")
	found(r, 5, "other-name", "1001")
	later := log.registry(t, newSealer(t, key(1)))
	found(later, 5, "other-name", "1001")
	found(later, 40, "names-1002", "1002")

	if _, err := r.ChangeAccount(t.Context(), "acme", func(a *domain.Account) error { a.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.ChannelByIdentifier("other-name"); ok {
		t.Error("contacts get into an account that is disabled")
	}
	if ch, ok := r.ChannelByInbox("acme", 5); !ok || !ch.Disabled {
		t.Errorf("its own account finds %+v, %t", ch, ok)
	}
	if err := r.DeleteChannel(t.Context(), "1001"); err != nil {
		t.Fatal(err)
	}
	found(r, 5, "other-name", "")
}

// Ensure that no two inboxes are known by the same thing, and that which of them
// it is that keeps it is told.
func TestInboxIsUnique(t *testing.T) {
	t.Parallel()
	r := newTestLog(t).registry(t, newSealer(t, key(1)))
	must(t, r.CreateChannel, anInbox("1001", "acme", 3))
	must(t, r.CreateChannel, anInbox("1002", "other", 4))
	number, identifier := anInbox("1003", "other", 3), anInbox("1003", "other", 5)
	identifier.Inbox.Identifier = "names-1001"
	for field, ch := range map[string]domain.Channel{"inbox_id": number, "inbox_identifier": identifier} {
		_, err := r.CreateChannel(t.Context(), ch)
		conflict(t, err, field)
		_, err = r.ChangeChannel(t.Context(), "1002", func(c *domain.Channel) error { c.Inbox = ch.Inbox; return nil })
		conflict(t, err, field)
	}
	if len(r.Channels("")) != 2 {
		t.Errorf("%d channels", len(r.Channels("")))
	}
	if ch, ok := r.ChannelByInbox("acme", 3); !ok || ch.ID != "1001" {
		t.Errorf("inbox 3 is %+v, %t", ch, ok)
	}
	if err := r.DeleteChannel(t.Context(), "1001"); err != nil {
		t.Fatal(err)
	}
	must(t, r.CreateChannel, number) // free again
}

func conflict(t *testing.T, err error, field string) {
	t.Helper()
	known, ok := err.(*domain.Error) //nolint:errorlint // the registry's own
	if !ok || known.Code != domain.CodeConflict || known.Field != field {
		t.Errorf("%v, want a conflict about %s", err, field)
	}
}

// Ensure that a change of an inbox gets objects and lists of its own.
func TestInboxChangeGetsACopy(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)))
	before := must(t, r.CreateChannel, anInbox("1001", "acme", 3))
	_, err := r.ChangeChannel(t.Context(), "1001", func(ch *domain.Channel) error {
		ch.Inbox.Additional["agent_reply_time_window"], ch.Inbox.CSATConfig["display_type"] = 1.0, "star"
		ch.Inbox.Hours[0].OpenHour, ch.Inbox.Members[0] = 3, 1
		return errNotNow
	})
	if err == nil {
		t.Fatal("it was changed")
	}
	fresh := log.registry(t, newSealer(t, key(1)))
	want, _ := fresh.Channel("1001")
	if got, _ := r.Channel("1001"); !cmp.Equal(want, got) || !cmp.Equal(got, before) {
		t.Errorf("(-in the log +in memory)\n%s", cmp.Diff(want, got))
	}
}

var errNotNow = domain.Errorf(domain.CodeConflict, "not now")

// Ensure that accounts are found by the numbers that integrations know them by,
// whether they have one of their own or one that follows from the name.
func TestAccountByNumber(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)))
	finds := func(f *follower, number int64, want string) {
		t.Helper()
		if a, ok := f.AccountByNumber(number); ok != (want != "") || a.Name != want {
			t.Errorf("%d finds %q (%t), want %q", number, a.Name, ok, want)
		}
	}
	finds(r, 1, "default")
	finds(r, 0, "")
	named := must(t, r.CreateAccount, domain.Account{Name: "acme"})
	must(t, r.CreateAccount, domain.Account{Name: "zenith", Number: 17})
	finds(r, named.WireNumber(), "acme")
	finds(r, 17, "zenith")
	for _, taken := range []int64{1, 17, named.WireNumber()} {
		_, err := r.CreateAccount(t.Context(), domain.Account{Name: "umbra", Number: taken})
		conflict(t, err, "number")
	}
	number := func(name string, to int64) error {
		_, err := r.ChangeAccount(t.Context(), name, func(a *domain.Account) error { a.Number = to; return nil })
		return err
	}
	conflict(t, number("acme", 17), "number")
	for name, to := range map[string]int64{"zenith": 18, "default": 19} {
		if err := number(name, to); err != nil {
			t.Fatal(err)
		}
		finds(r, to, name)
	}
	finds(r, 17, "")
	finds(r, 1, "")
	if err := number("acme", 1); err != nil { // which nobody has any more
		t.Fatal(err)
	}
	later := log.registry(t, newSealer(t, key(1)))
	finds(later, 1, "acme")
	finds(later, 19, "default")
	if err := number("acme", -1); domain.CodeOf(err) != domain.CodeInvalid {
		t.Errorf("below zero: %v", err)
	}
	if err := number("acme", domain.MaxAccountNumber+1); domain.CodeOf(err) != domain.CodeInvalid {
		t.Errorf("more than clients can keep: %v", err)
	}
}

// Ensure that webhooks have a life as other things of an account do, each URL once.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)))
	hook := func(number int64, url string) domain.Webhook {
		return domain.Webhook{Number: number, Account: "acme", URL: url, Secret: "secret-of-hook", Events: []string{domain.NoticeMessageCreated}}
	}
	must(t, r.CreateWebhook, hook(1, "https://one.example.com"))
	must(t, r.CreateWebhook, hook(2, "https://two.example.com"))
	_, err := r.CreateWebhook(t.Context(), hook(3, "https://one.example.com"))
	conflict(t, err, "url")
	change := func(number int64, edit func(*domain.Webhook)) error {
		_, err := r.ChangeWebhook(t.Context(), "acme", number, func(w *domain.Webhook) error { edit(w); return nil })
		return err
	}
	conflict(t, change(2, func(w *domain.Webhook) { w.URL = "https://one.example.com" }), "url")
	if err := change(2, func(w *domain.Webhook) { w.Events = []string{"everything"} }); domain.CodeOf(err) != domain.CodeInvalid {
		t.Errorf("an event that there is not: %v", err)
	}
	if err := change(2, func(w *domain.Webhook) { w.Name, w.Number = "CRM", 9 }); err != nil {
		t.Fatal(err)
	}
	other := hook(1, "https://one.example.com")
	other.Account = "umbra" // a URL of another account is nobody's business
	must(t, r.CreateWebhook, other)
	later := log.registry(t, newSealer(t, key(1)))
	if diff := cmp.Diff(r.Webhooks("acme"), later.Webhooks("acme")); diff != "" || len(later.Webhooks("acme")) != 2 {
		t.Errorf("(-here +on a node that starts later)\n%s", diff)
	}
	if w, ok := later.Webhook("acme", 2); !ok || w.Name != "CRM" || w.Secret != "secret-of-hook" {
		t.Errorf("it is %+v, %t", w, ok)
	}
	if err := r.DeleteWebhook(t.Context(), "acme", 2); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Webhook("acme", 2); ok || domain.CodeOf(r.DeleteWebhook(t.Context(), "acme", 2)) != domain.CodeNotFound {
		t.Error("it is there after it was deleted")
	}
	for number := int64(10); len(r.Webhooks("acme")) < domain.MaxWebhooks; number++ {
		must(t, r.CreateWebhook, hook(number, "https://example.com/"+time.Unix(number, 0).UTC().Format(time.TimeOnly)))
	}
	_, err = r.CreateWebhook(t.Context(), hook(99, "https://last.example.com"))
	conflict(t, err, "")
}

// Ensure that a token tells which agent it acts as, and one of a disabled account
// whose it would be.
func TestTokenActsAsAgent(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	admin := domain.Token{ID: "admin", Account: "acme", Role: domain.RoleAdmin, Hash: domain.HashSecret("configured")}
	r := log.registry(t, newSealer(t, key(1)), admin)
	must(t, r.CreateAccount, domain.Account{Name: "acme"})
	must(t, r.CreateToken, domain.Token{ID: "a", Account: "acme", Name: "desk", Role: domain.RoleAgent, Hash: domain.HashSecret("alpha"), Agent: 7})
	later := log.registry(t, newSealer(t, key(1)), admin)
	if token, ok := later.Token("alpha"); !ok || token.Agent != 7 {
		t.Errorf("it is %+v, %t", token, ok)
	}
	if _, err := r.ChangeAccount(t.Context(), "acme", func(a *domain.Account) error { a.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"alpha", "configured"} {
		if token, ok := r.Token(secret); ok || token.Account != "acme" {
			t.Errorf("in a disabled account %s is %+v, good: %t", secret, token, ok)
		}
	}
	if token, ok := r.Token("beta"); ok || token.Account != "" {
		t.Errorf("an unknown one is %+v, good: %t", token, ok)
	}
}
