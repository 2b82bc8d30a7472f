package voximplant

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the wire's signature is what it is (section 5.2)
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// callTimeout bounds a call as a whole (section 5.6).
const callTimeout = 15 * time.Second

// OutboundConfig wires an Outbound. Random and Logger may be left out: they are
// the system's randomness and nobody.
type OutboundConfig struct {
	Directory interface {
		directory
		functions
	}
	Keys      signKeys
	PublicURL string // of this installation, for functions
	Random    io.Reader
	Logger    *slog.Logger
}

// Outbound is the callback side of the wire (section 5), and the calls of
// functions (section 7).
type Outbound struct {
	functions functions
	commands  *commands
	veil      *veil
	host      string // of this installation, without the scheme
}

// NewOutbound makes an Outbound.
func NewOutbound(cfg OutboundConfig) Outbound {
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	host := strings.TrimSuffix(cfg.PublicURL, "/")
	if u, err := url.Parse(cfg.PublicURL); err == nil && u.Host != "" {
		host = u.Host + strings.TrimSuffix(u.EscapedPath(), "/")
	}
	return Outbound{
		functions: cfg.Directory, commands: &commands{cfg.Directory, cfg.Logger},
		veil: &veil{&keyring{keys: cfg.Keys, random: cfg.Random}}, host: host,
	}
}

// Signature is what the header Authorization of a callback says (section 5.2): the
// parts joined with bare colons. The check request has no event.
func Signature(salt, token string, event ...string) string {
	sum := md5.Sum([]byte(strings.Join(append([]string{salt, token}, event...), ":"))) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// typeClose is the other type of event that goes out.
const typeClose = "close_conversation"

// The bodies of section 5.3, with their keys in the order of the public examples.
type (
	outEvent struct {
		ClientData outClient `json:"client_data"`
		EventID    string    `json:"event_id"`
		EventType  string    `json:"event_type"`
		EventData  any       `json:"event_data"`
	}
	outClient struct {
		ClientID string `json:"client_id"`
	}
	outSaid struct {
		Sender  outSpeaker `json:"sender_data"`
		Message outMessage `json:"message"`
	}
	outMessage struct {
		ID      string `json:"message_id"`
		Text    string `json:"text"`
		Payload []any  `json:"payload"` // never nil: it is an array on the wire whatever happens
	}
	outClosed struct {
		Reason string `json:"close_reason"`
		Sender any    `json:"sender_data,omitempty"` // outSender, outBot or nothing
	}
	outSender struct {
		ID          int64  `json:"sender_id"`
		Username    string `json:"sender_username"`
		DisplayName string `json:"sender_display_name"`
		Avatar      string `json:"sender_avatar"`
		Email       string `json:"sender_email"`
	}
	outSpeaker struct {
		outSender

		Type  string `json:"sender_type"`
		IsBot bool   `json:"is_bot"`
	}
	outCloser struct {
		outSender

		IsBot bool `json:"is_bot"`
	}
	outBot struct {
		IsBot bool `json:"is_bot"`
	}
)

// Request makes the call for a delivery. Every call of one delivery has the same
// body; its signature is that of the channel as it is now (section 5.2). It fails
// on content that this wire has no form for, and when a function is not there any
// more (CodeNotFound).
func (o Outbound) Request(ch domain.Channel, d domain.Delivery) (domain.Call, error) {
	if d.Kind == domain.DeliverFunction {
		return o.functionCall(ch, d)
	}
	e := outEvent{ClientData: outClient{d.ContactRef}, EventID: eventID(d).String()}
	switch d.Kind {
	case domain.DeliverClose:
		e.EventType, e.EventData = typeClose, closed(d)
	default:
		said, err := said(ch, d)
		if err != nil {
			return domain.Call{}, err
		}
		e.EventType, e.EventData = typeMessage, said
	}
	body, err := encode(e)
	if err != nil {
		return domain.Call{}, fmt.Errorf("encode delivery %s: %w", d.ID, err)
	}
	return domain.Call{
		Method: http.MethodPost,
		URL:    ch.CallbackURL,
		Headers: []domain.Header{
			{Name: "Content-Type", Value: "application/json"},
			{Name: "Authorization", Value: Signature(ch.Credentials.Salt, ch.Credentials.APIToken, e.EventID)},
		},
		Body: body, Timeout: callTimeout, SkipTLSVerify: ch.SkipTLSVerify,
	}, nil
}

// Check makes the nth call, from 0, that tries a callback; ok is false when the
// last answer is the one that counts (section 5.1).
func (o Outbound) Check(ch domain.Channel, nth int, last domain.Answer) (call domain.Call, ok bool) {
	call = domain.Call{
		Method: http.MethodGet, URL: ch.CallbackURL, Timeout: callTimeout, SkipTLSVerify: ch.SkipTLSVerify,
		Headers: []domain.Header{{Name: "Authorization", Value: Signature(ch.Credentials.Salt, ch.Credentials.APIToken)}},
	}
	if nth == 0 {
		return call, true
	}
	if nth > 1 || last.Fault != "" {
		return domain.Call{}, false
	}
	switch last.Status { // of servers that have a route for POST alone
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		call.Method, call.Body = http.MethodPost, []byte("{}")
		call.Headers = append(call.Headers, domain.Header{Name: "Content-Type", Value: "application/json"})
		return call, true
	default:
		return domain.Call{}, false
	}
}

// eventID names the event of a delivery: derived, so that a repeat has the same,
// and of the shape of a random UUID (section 5.3).
func eventID(d domain.Delivery) uuid.UUID {
	return withVersion(domain.DeriveID("kit-event", d.ID.String()), versionTold)
}

// said is the data of send_message (section 5.4).
func said(ch domain.Channel, d domain.Delivery) (outSaid, error) {
	c := d.Content
	if err := c.Validate("", domain.LimitsOf(ch.Dialect)); err != nil {
		return outSaid{}, fmt.Errorf("tell message %s: %w", d.MessageID, err)
	}
	text, payload := payloadOf(c)
	s := senderOf(d)
	kind := "agent"
	if s.Bot {
		kind = "bot"
	}
	return outSaid{
		Sender:  outSpeaker{outSender: wired(s), Type: kind, IsBot: s.Bot},
		Message: outMessage{ID: d.MessageID.String(), Text: text, Payload: payload},
	}, nil
}

// closed is the data of close_conversation (section 5.5). The set of reasons is
// closed: a fifth one breaks the published client.
func closed(d domain.Delivery) outClosed {
	switch d.Subject.Reason {
	case domain.ClosedByAgent:
		return outClosed{Reason: "CLOSED_BY_AGENT", Sender: outCloser{outSender: wired(senderOf(d))}}
	case domain.ClosedByBot:
		return outClosed{Reason: "CLOSED_BY_BOT", Sender: outBot{IsBot: true}}
	case domain.ClosedByTimeout:
		return outClosed{Reason: "CLOSED_BY_CLIENT_TIMEOUT"}
	case domain.ClosedByUnknown:
		return outClosed{Reason: "CLOSED_BY_UNKNOWN_REASON"}
	default:
		return outClosed{Reason: "CLOSED_BY_UNKNOWN_REASON"}
	}
}

// senderOf gives who speaks; integrations fail on a message without somebody, so
// one whom nobody has named is an operator without a name.
func senderOf(d domain.Delivery) domain.Sender {
	if s := d.Subject.Sender; s != nil {
		return *s
	}
	return *domain.SenderOf(d.Account, "")
}

func wired(s domain.Sender) outSender {
	return outSender{ID: s.Number, Username: s.Username, DisplayName: s.DisplayName, Avatar: s.Avatar, Email: s.Email}
}

// encode gives compact JSON in which texts stand as they were written.
func encode(v any) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(body.Bytes(), "\n"), nil
}
