package callback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// Bounds of a call.
const (
	// MaxAnswer is how much of an answer's body is read, in bytes.
	MaxAnswer = 1 << 20
	// maxAnswerHeader bounds an answer's header, in bytes.
	maxAnswerHeader = 64 << 10
	dialTimeout     = 3 * time.Second
	tlsTimeout      = 5 * time.Second
	idleTimeout     = 90 * time.Second
	// mostIdle bounds the idle connections of a process.
	mostIdle = 1024
)

// Sender makes calls to callbacks: one HTTP client that connects only to
// addresses that are allowed, follows no redirect and reads no more than
// MaxAnswer. It is safe for concurrent use.
type Sender struct {
	client  *http.Client
	timeout time.Duration
}

// NewSender makes a Sender whose calls take at most timeout. allow names address
// ranges that may be reached besides public ones; perHost is how many idle
// connections to one host are kept.
func NewSender(allow []netip.Prefix, timeout time.Duration, perHost int) *Sender {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: newGate(allow).control}
	return &Sender{
		timeout: timeout,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                  nil, // a proxy would resolve names behind the gate's back
				DialContext:            dialer.DialContext,
				TLSHandshakeTimeout:    tlsTimeout,
				MaxIdleConns:           mostIdle,
				MaxIdleConnsPerHost:    perHost,
				IdleConnTimeout:        idleTimeout,
				MaxResponseHeaderBytes: maxAnswerHeader,
				DisableCompression:     true,
				ForceAttemptHTTP2:      false, // one call, one connection: a stuck one delays no other
				WriteBufferSize:        16 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close closes idle connections.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Send makes one call. Whatever goes wrong is in the answer.
func (s *Sender) Send(ctx context.Context, call domain.Call) domain.Answer {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, call.Method, call.URL, bytes.NewReader(call.Body))
	if err != nil {
		return domain.Answer{Fault: domain.ReasonUnreachable, Detail: "the callback's address is not a URL"}
	}
	for _, h := range call.Headers {
		setHeader(request.Header, h)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return faultOf(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	if err != nil {
		return faultOf(err)
	}
	answer := domain.Answer{Status: response.StatusCode, RetryAfter: response.Header.Get("Retry-After"), Body: body}
	if len(body) > MaxAnswer {
		answer.Body, answer.Truncated = body[:MaxAnswer], true
	}
	return answer
}

// setHeader sets a header. net/http takes a request with an Idempotency-Key for
// one that it may send again by itself when a kept connection breaks: attempts
// are counted here, so the key goes under a spelling that it does not look for.
func setHeader(to http.Header, h domain.Header) {
	if http.CanonicalHeaderKey(h.Name) == "Idempotency-Key" {
		to["Idempotency-key"] = []string{h.Value}
		return
	}
	to.Set(h.Name, h.Value)
}

// faultOf says why there is no answer. The URL is left out of the detail: it may
// hold a secret.
func faultOf(err error) domain.Answer {
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return domain.Answer{Fault: domain.ReasonAddressRefused, Detail: refused.Error()}
	}
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) {
		var dial *net.OpError
		if !errors.As(err, &dial) || dial.Op != "dial" {
			return domain.Answer{Fault: domain.ReasonTimeout, Detail: "timeout"}
		}
	}
	return domain.Answer{Fault: domain.ReasonUnreachable, Detail: "integration server unreachable: " + causeOf(err)}
}

// causeOf names the innermost error, without addresses of ours.
func causeOf(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "its name is not known"
		}
		return "its name could not be resolved"
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return domain.Cut(err.Error(), 200)
}

// Prober makes test calls to callbacks, outside of all lanes and schedules.
type Prober struct {
	Sender   *Sender
	Dialects map[domain.Dialect]Dialect
	Now      func() time.Time
}

// Probe calls a channel's callback once with a text that says what it is, and
// tells what that came to. An error means that no call was made.
func (p *Prober) Probe(ctx context.Context, ch domain.Channel) (domain.Outcome, error) {
	dialect, ok := p.Dialects[ch.Dialect]
	if !ok {
		return domain.Outcome{}, domain.Errorf(domain.CodeInvalid, "no callbacks are made for dialect %s", ch.Dialect)
	}
	ref := "parley-test"
	if ch.IDType == domain.IDTypePhone {
		ref = "+15550100"
	}
	id := uuid.New()
	d := domain.Delivery{
		ID: domain.DeliveryID(id), Account: ch.Account, Channel: ch.ID, Dialect: ch.Dialect, ContactRef: ref,
		MessageID: id, Conversation: domain.ConversationID(ch.ID, ref), State: domain.StatePending, CreatedAt: p.Now(),
		Kind: domain.DeliverMessage, Content: domain.Content{Type: domain.ContentText, Text: "Test message from Parley"},
	}
	call, err := requestOf(dialect, ch, d)
	if err != nil {
		return domain.Outcome{}, fmt.Errorf("make a test call to channel %s: %w", ch.ID, err)
	}
	answer := p.Sender.Send(ctx, call)
	if err := ctx.Err(); err != nil {
		return domain.Outcome{}, fmt.Errorf("make a test call to channel %s: %w", ch.ID, err)
	}
	return judge(dialect, d, answer, p.Now()), nil
}

// Prober gives the worker's prober.
func (w *Worker) Prober() *Prober {
	return &Prober{Sender: w.sender, Dialects: w.cfg.Dialects, Now: w.cfg.Now}
}
