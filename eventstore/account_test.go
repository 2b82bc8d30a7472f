package eventstore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-im/parley/domain"
)

// wantCode checks the kind of trouble that an error tells of.
func wantCode(t *testing.T, what string, err error, want domain.Code) {
	t.Helper()
	if got := domain.CodeOf(err); got != want {
		t.Errorf("%s: %v (%s), want %s", what, err, got, want)
	}
}

func disable(disabled bool) func(*domain.Account) error {
	return func(a *domain.Account) error { a.Disabled = disabled; return nil }
}

// Ensure that the default account is there without a record and cannot go, and
// that the others come and change.
func TestAccounts(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registryAt(t, ticking(), newSealer(t, key(1)))
	names := func() (names []string) {
		for _, a := range r.Accounts() {
			names = append(names, a.Name)
		}
		return names
	}
	if a, ok := r.Account("default"); !ok || a.Name != "default" || !slices.Equal(names(), []string{"default"}) {
		t.Errorf("the default account: %+v, %t, among %q", a, ok, names())
	}
	created := must(t, r.CreateAccount, domain.Account{Name: "zebra", Title: "Zebra"})
	must(t, r.CreateAccount, domain.Account{Name: "acme"})
	if a, ok := r.Account("zebra"); !ok || a != created || a.CreatedAt.IsZero() {
		t.Errorf("known is %+v, %t, created %+v", a, ok, created)
	}
	for _, name := range []string{"zebra", "default"} {
		_, err := r.CreateAccount(t.Context(), domain.Account{Name: name})
		wantCode(t, "create "+name+" again", err, domain.CodeConflict)
	}
	_, err := r.CreateAccount(t.Context(), domain.Account{Name: "No/Name"})
	wantCode(t, "a name that is none", err, domain.CodeInvalid)
	_, err = r.ChangeAccount(t.Context(), "nobody", disable(true))
	wantCode(t, "change nobody", err, domain.CodeNotFound)
	_, err = r.ChangeAccount(t.Context(), "default", disable(true))
	wantCode(t, "disable the default account", err, domain.CodeConflict)
	if _, err := r.ChangeAccount(t.Context(), "default", func(a *domain.Account) error {
		a.Title, a.Name = "Home", "elsewhere"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if a, _ := r.Account("default"); a.Title != "Home" {
		t.Errorf("the default account is %+v", a)
	}
	if want := []string{"default", "zebra", "acme"}; !slices.Equal(names(), want) {
		t.Errorf("accounts %q, want %q", names(), want)
	}
	if restarted := log.registry(t, newSealer(t, key(1))); !slices.Equal(r.Accounts(), restarted.Accounts()) {
		t.Errorf("after a restart (-before +after)\n%s", cmp.Diff(r.Accounts(), restarted.Accounts()))
	}
}

// Ensure that nothing of a disabled account opens anything, that all of it does
// again when it is enabled, and that other accounts do not notice.
func TestDisabledAccount(t *testing.T) {
	t.Parallel()
	fixed := domain.Token{ID: "fixed", Account: "acme", Role: domain.RoleAdmin, Hash: domain.HashSecret("fixed")}
	log := newTestLog(t)
	r := log.registry(t, newSealer(t, key(1)), fixed)
	ids := map[string]string{"acme": "1", "default": "2"}
	for _, account := range []string{"acme", "default"} {
		if account != "default" {
			must(t, r.CreateAccount, domain.Account{Name: account})
		}
		must(t, r.CreateToken, domain.Token{ID: account, Account: account, Role: domain.RoleAdmin, Hash: domain.HashSecret("token of " + account)})
		must(t, r.CreateAPIToken, anAPIToken(account, "one", "value-one"))
		ch := aChannel(ids[account], "channel of "+account)
		ch.Account = account
		must(t, r.CreateChannel, ch)
	}
	must(t, r.CreateChannel, kitChannel(kitID, "acme", "one"))
	own := kitChannel("aa11bb22-cc33-4d44-8e55-ff6677889900", "acme", "one")
	own.Disabled = true
	must(t, r.CreateChannel, own)

	check := func(r *follower, account string, good bool) {
		t.Helper()
		_, token := r.Token("token of " + account)
		_, apiToken := r.APITokenByValue(account, "value-one")
		if token != good || apiToken != good || (r.opens("channel of "+account) != "") != good {
			t.Errorf("%s: token %t, API token %t, channel %q; want %t", account, token, apiToken, r.opens("channel of "+account), good)
		}
		for _, ch := range r.Channels(account) {
			if same, _ := r.Channel(ch.ID); ch.Disabled == good && ch.ID != own.ID || same.Disabled != ch.Disabled {
				t.Errorf("%s: channel %s disabled: %t, %t", account, ch.ID, ch.Disabled, same.Disabled)
			}
		}
	}
	check(r, "acme", true)
	if _, err := r.ChangeAccount(t.Context(), "acme", disable(true)); err != nil {
		t.Fatal(err)
	}
	check(r, "acme", false)
	check(r, "default", true)
	if _, ok := r.Token("fixed"); ok {
		t.Error("a token of the configuration is good for a disabled account")
	}
	if _, ok := r.APIToken("acme", "one"); !ok {
		t.Error("its API token cannot be looked at")
	}
	check(log.registry(t, newSealer(t, key(1))), "acme", false)

	// What is changed meanwhile does not keep that it was disabled.
	if ch, err := r.ChangeChannel(t.Context(), kitID, func(ch *domain.Channel) error { ch.Name = "New"; return nil }); err != nil || !ch.Disabled {
		t.Errorf("changed to %+v, %v", ch, err)
	}
	if _, err := r.ChangeAccount(t.Context(), "acme", disable(false)); err != nil {
		t.Fatal(err)
	}
	check(r, "acme", true)
	if ch, _ := r.Channel(own.ID); !ch.Disabled {
		t.Error("a channel that was disabled by itself is not any more")
	}
	check(log.registry(t, newSealer(t, key(1))), "acme", true)
}

// Ensure that an API token is good by its value in its account until it is
// revoked, and that a value is free again then.
func TestAPITokens(t *testing.T) {
	t.Parallel()
	log := newTestLog(t)
	r := log.registryAt(t, ticking(), newSealer(t, key(1)))
	must(t, r.CreateAccount, domain.Account{Name: "acme"})
	must(t, r.CreateAccount, domain.Account{Name: "umbra"})
	one := must(t, r.CreateAPIToken, anAPIToken("acme", "one", "value one"))
	must(t, r.CreateAPIToken, anAPIToken("umbra", "one", "value of umbra"))
	opens := func(r *follower, account, value string) string {
		found, _ := r.APITokenByValue(account, value)
		return found.ID
	}
	for _, c := range []struct{ account, value, want string }{
		{"acme", "value one", "one"}, {"acme", "value on", ""}, {"acme", "value one ", ""}, {"acme", "", ""}, {"", "value one", ""},
		{"umbra", "value one", ""}, {"umbra", "value of umbra", "one"}, {"nobody", "value one", ""}, {"default", "value one", ""},
	} {
		if got := opens(r, c.account, c.value); got != c.want {
			t.Errorf("%q in %q is token %q, want %q", c.value, c.account, got, c.want)
		}
	}
	must(t, r.CreateAPIToken, anAPIToken("umbra", "two", "value one")) // accounts do not know of each other
	_, err := r.CreateAPIToken(t.Context(), anAPIToken("acme", "two", "value one"))
	wantCode(t, "a value that is taken", err, domain.CodeConflict)
	if strings.Contains(err.Error(), "value one") {
		t.Errorf("the error tells the value: %v", err)
	}
	_, err = r.CreateAPIToken(t.Context(), anAPIToken("acme", "one", "value two"))
	wantCode(t, "an id that is taken", err, domain.CodeConflict)
	_, err = r.CreateAPIToken(t.Context(), anAPIToken("acme", "two", "short"))
	wantCode(t, "a value that is none", err, domain.CodeInvalid)
	_, err = r.RevokeAPIToken(t.Context(), "default", "one")
	wantCode(t, "revoke another account's", err, domain.CodeNotFound)

	revoked, err := r.RevokeAPIToken(t.Context(), "acme", "one")
	if err != nil || !revoked.Revoked() || revoked.Value != "value one" || revoked.CreatedAt != one.CreatedAt {
		t.Errorf("revoked %+v, %v", revoked, err)
	}
	if again, err := r.RevokeAPIToken(t.Context(), "acme", "one"); err != nil || !cmp.Equal(again, revoked) {
		t.Errorf("revoked again %+v, %v", again, err)
	}
	if opens(r, "acme", "value one") != "" || opens(r, "umbra", "value one") != "two" {
		t.Error("the revoked one is good, or the other account's is not")
	}
	must(t, r.CreateAPIToken, anAPIToken("acme", "three", "value one"))
	restarted := log.registry(t, newSealer(t, key(1)))
	for _, r := range []*follower{r, restarted} {
		if got := opens(r, "acme", "value one"); got != "three" {
			t.Errorf("the value is token %q", got)
		}
		if list := r.APITokens("acme"); len(list) != 2 || !cmp.Equal(list[0], revoked) || list[1].ID != "three" {
			t.Errorf("listed are %+v", list)
		}
	}
}
