package callback

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/parley-im/parley/domain"
)

// MaxShownBody is how much of a call's body is shown, in bytes.
const MaxShownBody = 64 << 10

// Veiled stands in place of what is secret.
const Veiled = "…"

// Previewer shows the calls of deliveries. It makes them up as the worker does, of
// the settings as they are now, and sends nothing. It is safe for concurrent use.
type Previewer struct {
	Channels channels
	Dialects map[domain.Dialect]Dialect
	// UserAgent is that of calls; default DefaultUserAgent.
	UserAgent string
}

// Preview gives the call of a delivery without what is secret in it: of headers
// that are not known to be harmless, of the user and the query of the URL and of
// tokens in the body there is only the name, and Veiled. Of the body there are at
// most MaxShownBody bytes; cut tells that there is more. Where nothing would be
// sent, missing says why.
func (p Previewer) Preview(d domain.Delivery) (call domain.Call, cut bool, missing string) {
	ch, known := p.Channels.Channel(domain.ChannelOf(d.Target()))
	dialect, _, why := dialectOf(p.Dialects, ch, known, d)
	if dialect == nil {
		return domain.Call{}, false, why
	}
	call, err := requestOf(dialect, ch, d)
	switch {
	case err != nil:
		return domain.Call{}, false, domain.Cut(domain.Storable(err.Error()), domain.MaxDetail)
	case call.URL == "":
		return domain.Call{}, false, "there is no callback: nobody is called"
	}
	header := http.Header{}
	header.Set("User-Agent", cmp.Or(p.UserAgent, DefaultUserAgent))
	for _, h := range call.Headers {
		setHeader(header, h)
	}
	call.Headers = veilHeaders(header)
	call.URL = veilURL(call.URL)
	body := secretMember.ReplaceAll(call.Body, []byte(`${1}"`+Veiled+`"`))
	if cut = len(body) > MaxShownBody; cut {
		body = body[:MaxShownBody]
	}
	call.Body = []byte(domain.Storable(string(body)))
	return call, cut, ""
}

// secretMember finds the members of a JSON text that open doors. A quote inside of
// a text has a backslash before it, so texts that people wrote are left alone.
var secretMember = regexp.MustCompile(`("(?:[a-z_]*token|secret|password|authorization)"\s*:\s*)"(?:[^"\\]|\\.)*"`)

// harmless are the headers whose values are shown. Those of the time at which a call
// is signed are not among them: what is shown is no call, and is the same each time.
func harmless(name string) bool {
	switch strings.ToLower(name) {
	case "accept", "cache-control", "content-type", "user-agent", "idempotency-key",
		"webhook-id", "x-chatwoot-delivery",
		"x-kit-event-type", "x-kit-api-url", "x-kit-domain", "x-kit-function-id":
		return true
	default:
		return false
	}
}

// veilHeaders lists headers by name.
func veilHeaders(header http.Header) []domain.Header {
	list := make([]domain.Header, 0, len(header))
	for name, values := range header {
		value := strings.Join(values, ", ")
		if !harmless(name) {
			value = Veiled
		}
		list = append(list, domain.Header{Name: name, Value: domain.Storable(value)})
	}
	slices.SortFunc(list, func(a, b domain.Header) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// veilURL takes the user and the values of the query out of a URL.
func veilURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return Veiled
	}
	user := ""
	if u.User != nil {
		user, u.User = Veiled+"@", nil
	}
	query := ""
	if u.RawQuery != "" {
		parts := strings.Split(u.RawQuery, "&")
		for i, part := range parts {
			if name, _, named := strings.Cut(part, "="); named {
				parts[i] = name + "=" + Veiled
			} else {
				parts[i] = Veiled
			}
		}
		query, u.RawQuery = "?"+strings.Join(parts, "&"), ""
	}
	u.Fragment, u.RawFragment, u.ForceQuery = "", "", false
	return domain.Storable(strings.Replace(u.String(), "://", "://"+user, 1) + query)
}
