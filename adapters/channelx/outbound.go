package channelx

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// callTimeout bounds a call as a whole (channelx.md 6.4).
const callTimeout = 5 * time.Second

// OutboundConfig wires an Outbound. All of it must be set, but Timeout.
type OutboundConfig struct {
	Webhooks interface {
		Webhooks(account string) []domain.Webhook
	}
	Minter  minter
	Now     func() time.Time // the clock of the signatures
	Timeout time.Duration    // of a call; 0 = the 5 seconds of the protocol
}

// Outbound is the callback side of the wire (channelx.md 6): callbacks of inboxes,
// and webhooks of accounts.
type Outbound struct {
	webhooks interface {
		Webhooks(account string) []domain.Webhook
	}
	view    *view
	now     func() time.Time
	timeout time.Duration
}

// NewOutbound makes an Outbound.
func NewOutbound(cfg OutboundConfig) Outbound {
	// Whoever is told of has just done something, or is to: nothing of presence is in
	// the log, and each try says the same.
	v := &view{minter: cfg.Minter, now: cfg.Now, there: attendance{everybody: true}}
	return Outbound{webhooks: cfg.Webhooks, view: v, now: cfg.Now, timeout: cmp.Or(cfg.Timeout, callTimeout)}
}

// Request makes the call for a delivery. Each try has the same body and the same
// delivery id; its time and signature are its own, with the secret as it is then.
// A channel whose callback has been taken away since has a call without a URL:
// nothing is to be done (channelx.md 6.1).
func (o Outbound) Request(ch domain.Channel, d domain.Delivery) (domain.Call, error) {
	if strings.TrimSpace(ch.CallbackURL) == "" {
		return domain.Call{}, nil
	}
	if d.Subject.Notice == nil {
		return domain.Call{}, fmt.Errorf("tell delivery %s: it has no notice", d.ID)
	}
	body, err := o.view.callbackBody(*d.Subject.Notice)
	if err != nil {
		return domain.Call{}, fmt.Errorf("tell delivery %s: %w", d.ID, err)
	}
	return o.call(ch, d.ID, body), nil
}

// checkEvent names the event of test calls. No notice has the name, so receivers
// pass over it.
const checkEvent = "channel_test"

type checkBody struct {
	Event string       `json:"event"`
	Inbox domain.Named `json:"inbox"`
}

// Check makes a test call to a channel's callback, one only, signed like the others.
func (o Outbound) Check(ch domain.Channel, nth int, _ domain.Answer) (domain.Call, bool) {
	if nth > 0 || strings.TrimSpace(ch.CallbackURL) == "" {
		return domain.Call{}, false
	}
	body, err := encode(checkBody{checkEvent, domain.Named{ID: ch.Inbox.Number, Name: ch.Name}})
	return o.call(ch, uuid.New(), body), err == nil
}

// call makes a signed call.
func (o Outbound) call(ch domain.Channel, id uuid.UUID, body []byte) domain.Call {
	at := o.now().Unix()
	where, credentials := splitURL(ch.CallbackURL)
	headers := []domain.Header{
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Accept", Value: "application/json"},
		{Name: "X-Chatwoot-Delivery", Value: id.String()},
		{Name: "X-Chatwoot-Timestamp", Value: strconv.FormatInt(at, 10)},
		{Name: "X-Chatwoot-Signature", Value: signature(ch.Credentials.Secret, at, body)},
	}
	if credentials != "" {
		headers = append(headers, domain.Header{Name: "Authorization", Value: credentials})
	}
	return domain.Call{
		Method: http.MethodPost, URL: where, Headers: headers, Body: body, Timeout: o.timeout, SkipTLSVerify: ch.SkipTLSVerify,
	}
}

// splitURL takes user and password out of a URL, as what the header Authorization
// says then.
func splitURL(raw string) (where, authorization string) {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	if err != nil || u.User == nil {
		return raw, ""
	}
	password, _ := u.User.Password()
	authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	u.User = nil
	return u.String(), authorization
}
