package callback

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/parley-im/parley/domain"
)

// Bounds of a call.
const (
	// MaxAnswer is how much of an answer's body is read, in bytes.
	MaxAnswer = 1 << 20
	// maxAnswerHeader bounds an answer's header, in bytes.
	maxAnswerHeader = 64 << 10
	dialTimeout     = 5 * time.Second
	tlsTimeout      = 5 * time.Second
	idleTimeout     = 90 * time.Second
	// mostIdle bounds the idle connections of a process.
	mostIdle = 1024
)

// DefaultUserAgent names the caller where nothing better is known.
const DefaultUserAgent = "Parley"

// Sender makes calls to callbacks: an HTTP client that connects only to
// addresses that are allowed, follows no redirect and reads no more than
// MaxAnswer. It is safe for concurrent use.
type Sender struct {
	client *http.Client
	// trusting takes any certificate. Its connections are its own, so that no call
	// that wants a certificate checked goes over one that was not.
	trusting *http.Client
	timeout  time.Duration
	agent    string
}

// NewSender makes a Sender whose calls take at most timeout. allow names address
// ranges that may be reached besides public ones; perHost is how many idle
// connections to one host are kept.
func NewSender(allow []netip.Prefix, timeout time.Duration, perHost int) *Sender {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	checking := &http.Transport{
		Proxy:                  nil, // a proxy would resolve names behind the gate's back
		DialContext:            newGate(allow).dial(dialer),
		TLSHandshakeTimeout:    tlsTimeout,
		MaxIdleConns:           mostIdle,
		MaxIdleConnsPerHost:    perHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
		DisableCompression:     true,
		ForceAttemptHTTP2:      false, // one call, one connection: a stuck one delays no other
		WriteBufferSize:        16 << 10,
	}
	trusting := checking.Clone()
	trusting.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a channel's owner has asked for it
	s := &Sender{timeout: timeout, agent: DefaultUserAgent}
	s.use(checking, trusting)
	return s
}

func (s *Sender) use(checking, trusting http.RoundTripper) {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.client = &http.Client{Transport: checking, CheckRedirect: stay}
	s.trusting = &http.Client{Transport: trusting, CheckRedirect: stay}
}

// As names the caller in the User-Agent of calls that follow; "" changes nothing.
func (s *Sender) As(agent string) *Sender {
	if agent != "" {
		s.agent = agent
	}
	return s
}

// Close closes idle connections.
func (s *Sender) Close() {
	s.client.CloseIdleConnections()
	s.trusting.CloseIdleConnections()
}

// Send makes one call. Whatever goes wrong is in the answer.
func (s *Sender) Send(ctx context.Context, call domain.Call) domain.Answer {
	timeout, client := s.timeout, s.client
	if call.Timeout > 0 {
		timeout = min(timeout, call.Timeout)
	}
	if call.SkipTLSVerify {
		client = s.trusting
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, call.Method, call.URL, bytes.NewReader(call.Body))
	if err != nil {
		return domain.Answer{Fault: domain.ReasonUnreachable, Detail: "the callback's address is not a URL"}
	}
	request.Header.Set("User-Agent", s.agent)
	for _, h := range call.Headers {
		setHeader(request.Header, h)
	}
	response, err := client.Do(request)
	if err != nil {
		return faultOf(err, timeout)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	if err != nil {
		return faultOf(err, timeout)
	}
	answer := domain.Answer{Status: response.StatusCode, RetryAfter: response.Header.Get("Retry-After"), Body: body}
	if len(body) > MaxAnswer {
		answer.Body, answer.Truncated = body[:MaxAnswer], true
	}
	unpack(&answer, response.Header.Get("Content-Encoding"))
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

// faultOf says why there is no answer to a call that had timeout. The URL is left
// out: it may hold a secret.
func faultOf(err error, timeout time.Duration) domain.Answer {
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return domain.Answer{Fault: domain.ReasonAddressRefused, Detail: refused.Error()}
	}
	late := errors.Is(err, context.DeadlineExceeded)
	var slow interface{ Timeout() bool }
	if late || (errors.As(err, &slow) && slow.Timeout()) {
		var dial *net.OpError
		if !errors.As(err, &dial) || dial.Op != "dial" {
			cause := causeOf(err)
			if late {
				cause = "no complete answer within " + timeout.String()
			}
			return domain.Answer{Fault: domain.ReasonTimeout, Detail: "timeout", Cause: cause}
		}
	}
	cause := causeOf(err)
	return domain.Answer{Fault: domain.ReasonUnreachable, Detail: "integration server unreachable: " + cause, Cause: cause}
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
	return domain.Cut(err.Error(), domain.MaxCause)
}
