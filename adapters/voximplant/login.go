package voximplant

import (
	"net/http"

	"github.com/parley-im/parley/domain"
)

// login answers POST /api/v3/botService/login (section 3.1).
func (d *Door) login(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		d.onlyPost(w, atLogin)
		return
	}
	now := d.now()
	if wait := d.limiter.blocked(r.RemoteAddr, now); wait > 0 {
		d.refuse(w, r, atLogin, &domain.Error{
			Code: domain.CodeRateLimited, RetryAfter: wait, Message: "too many logins from this address have failed",
		})
		return
	}
	ch, tokens, err := d.logIn(r)
	if err != nil {
		if code := domain.CodeOf(err); code == domain.CodeUnauthorized || code == domain.CodeNotFound {
			d.limiter.failed(r.RemoteAddr, now) // whoever guesses tokens, or channels
		}
		d.refuse(w, r, atLogin, err, "channel", ch.ID)
		return
	}
	tell(w, http.StatusOK, success{Success: true, Result: tokens})
	d.metrics.answered(atLogin, http.StatusOK)
	d.logger.InfoContext(r.Context(), "kit.logged_in", "account", ch.Account, "channel", ch.ID, "took_ms", d.now().Sub(now).Milliseconds())
}

// logIn checks the account's credentials, and the channel only then. The query's
// win over the body's; with all of them there, a body is not even read for who
// has none that are good (section 8).
func (d *Door) logIn(r *http.Request) (domain.Channel, pair, error) {
	query := r.URL.Query()
	account, value := query.Get("domain"), query.Get("access_token")
	var token domain.APIToken
	var fields form
	var err error
	if account != "" && value != "" {
		if token, err = d.credentials(account, value); err != nil {
			return domain.Channel{}, pair{}, err
		}
		if fields, err = readForm(r); err != nil {
			return domain.Channel{}, pair{}, err
		}
	} else {
		if fields, err = readForm(r); err != nil {
			return domain.Channel{}, pair{}, err
		}
		account, value = first(account, fields["domain"]), first(value, fields["access_token"])
		if account == "" {
			return domain.Channel{}, pair{}, domain.Invalid("domain", "is required")
		}
		if value == "" {
			return domain.Channel{}, pair{}, domain.Invalid("access_token", "is required")
		}
		if token, err = d.credentials(account, value); err != nil {
			return domain.Channel{}, pair{}, err
		}
	}
	wanted := fields["channel_uuid"]
	if wanted == "" {
		return domain.Channel{}, pair{}, domain.Invalid("channel_uuid", "is required")
	}
	id, ok := canonical(wanted)
	var ch domain.Channel
	if ok {
		ch, ok = d.channelOf(account, id)
	}
	if !ok {
		return domain.Channel{}, pair{}, domain.Errorf(domain.CodeNotFound, "there is no such custom channel in this account")
	}
	if ch.Disabled {
		return ch, pair{}, errDisabled()
	}
	tokens, err := d.mint.issue(r.Context(), account, ch.ID, token.ID)
	return ch, tokens, err
}

// credentials finds the API token that logs in: any one of the account that is
// not revoked (section 3.1). What is wrong is not told.
func (d *Door) credentials(account, value string) (domain.APIToken, error) {
	a, ok := d.accounts.Account(account)
	if !ok || a.Disabled {
		return domain.APIToken{}, refused("domain or access_token is wrong", nil)
	}
	token, ok := d.apiTokens.APITokenByValue(account, value)
	if !ok {
		return domain.APIToken{}, refused("domain or access_token is wrong", nil)
	}
	return token, nil
}

// refresh answers POST /api/v3/botService/refreshToken (section 3.2).
func (d *Door) refresh(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		d.onlyPost(w, atRefresh)
		return
	}
	ch, tokens, err := d.renew(r)
	if err != nil {
		d.refuse(w, r, atRefresh, err, "channel", ch.ID)
		return
	}
	tell(w, http.StatusOK, success{Success: true, Result: tokens})
	d.metrics.answered(atRefresh, http.StatusOK)
	d.logger.DebugContext(r.Context(), "kit.refreshed", "account", ch.Account, "channel", ch.ID)
}

func (d *Door) renew(r *http.Request) (domain.Channel, pair, error) {
	fields, err := readForm(r)
	if err != nil {
		return domain.Channel{}, pair{}, err
	}
	token := fields["refresh_token"]
	if token == "" {
		return domain.Channel{}, pair{}, domain.Invalid("refresh_token", "is required")
	}
	c, err := d.mint.read(token, typeRefresh)
	if err != nil {
		return domain.Channel{}, pair{}, err
	}
	ch, err := d.standing(c)
	if err != nil {
		return domain.Channel{}, pair{}, err
	}
	if ch.Disabled {
		return ch, pair{}, errDisabled()
	}
	tokens, err := d.mint.issue(r.Context(), ch.Account, ch.ID, c.APIToken)
	return ch, tokens, err
}
