package channelx

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/parley-im/parley/domain"
)

// The prefixes of the two APIs.
const (
	applicationPrefix = "/api/v1/accounts/{account_id}"
	clientPrefix      = "/public/api/v1/inboxes/{inbox_identifier}"
)

// need is what a caller must be to do something.
type need int

// The needs; each includes the one before it.
const (
	open  need = iota // any token
	write             // not a reader's
	admin             // an administrator's
)

// allows tells whether a caller meets the need.
func (n need) allows(c caller) bool {
	switch n {
	case open:
		return true
	case write:
		return !c.reader
	case admin:
		return c.admin
	default:
		return false
	}
}

// What handlers are. A nil answer is 200 without a body.
type (
	appHandler    func(ctx context.Context, c caller, r *request) (any, error)
	publicHandler func(ctx context.Context, inbox domain.Channel, r *request) (any, error)
)

// both puts a handler on the mux with and without the final slash, and with the
// suffix; the mux would redirect otherwise, and a redirect turns a POST into a GET
// and loses the body. Where a path ends in a variable, the suffix is part of it.
func both(mux *http.ServeMux, pattern string, handler http.HandlerFunc) {
	pattern = strings.TrimSuffix(pattern, "/")
	mux.HandleFunc(pattern, handler)
	mux.HandleFunc(pattern+"/{$}", handler)
	if !strings.HasSuffix(pattern, "}") {
		mux.HandleFunc(pattern+jsonSuffix, handler)
	}
}

// under puts a prefix before the path of a pattern.
func under(prefix, pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	return method + " " + prefix + path
}

// app registers a handler of the application API below its account.
func (d *Door) app(mux *http.ServeMux, pattern string, n need, handler appHandler) {
	d.application(mux, under(applicationPrefix, pattern), d.enter, n, handler)
}

// profile registers a handler of the application API outside of any account.
func (d *Door) profile(mux *http.ServeMux, pattern string, handler appHandler) {
	d.application(mux, pattern, d.identify, open, handler)
}

func (d *Door) application(mux *http.ServeMux, pattern string, who func(*http.Request) (caller, error), n need, handler appHandler) {
	both(mux, pattern, func(w http.ResponseWriter, r *http.Request) {
		d.serve(w, r, atApplication, func(ctx context.Context) (any, error) {
			c, err := who(r)
			if err != nil {
				return nil, err
			}
			if !n.allows(c) {
				return nil, errNoRight
			}
			if err := d.abreast.wait(ctx); err != nil {
				return nil, err
			}
			return d.handle(w, r, func(r *request) (any, error) { return handler(ctx, c, r) })
		})
	})
}

// public registers a handler of the client API below its inbox.
func (d *Door) public(mux *http.ServeMux, pattern string, handler publicHandler) {
	both(mux, under(clientPrefix, pattern), func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w, r)
		d.serve(w, r, atClient, func(ctx context.Context) (any, error) {
			named := request{Request: r}
			inbox, ok := d.Inboxes.ChannelByIdentifier(named.value("inbox_identifier"))
			if !ok {
				return nil, errNotThere
			}
			if err := d.abreast.wait(ctx); err != nil {
				return nil, err
			}
			return d.handle(w, r, func(r *request) (any, error) { return handler(ctx, inbox, r) })
		})
	})
}

// serve answers a request with what do gives, unless its address has had its
// share.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, at surface, do func(context.Context) (any, error)) {
	if err := d.requests.take(addressOf(r.RemoteAddr), d.Now()); err != nil {
		d.refuse(w, r, at, err)
		return
	}
	started := d.Now()
	answer, err := do(r.Context())
	if err != nil {
		d.refuse(w, r, at, err)
		return
	}
	tell(w, http.StatusOK, answer)
	d.metrics.took(at, d.Now().Sub(started))
}

// handle reads what a request says and hands it over.
func (d *Door) handle(w http.ResponseWriter, r *http.Request, handler func(*request) (any, error)) (any, error) {
	p, err := readParams(w, r, d.maxBody())
	if err != nil {
		return nil, err
	}
	defer p.close()
	return handler(&request{Request: r, params: p})
}

// preflight tells a browser that the client API may be called.
func (d *Door) preflight(w http.ResponseWriter, r *http.Request) {
	allowOrigins(w, r)
	w.WriteHeader(http.StatusOK)
}

// catch answers below a prefix what no route takes.
func (d *Door) catch(mux *http.ServeMux, prefix string, at surface) {
	mux.HandleFunc(prefix, func(w http.ResponseWriter, r *http.Request) {
		if at == atClient {
			allowOrigins(w, r)
		}
		allowed := otherMethods(mux, r)
		if len(allowed) == 0 {
			d.refuse(w, r, at, errNotThere)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		d.refuse(w, r, at, plainError{http.StatusMethodNotAllowed, "Method Not Allowed"})
	})
}

// otherMethods lists the methods for which another route has the path of a
// request.
func otherMethods(mux *http.ServeMux, r *http.Request) []string {
	var allowed []string
	for _, method := range []string{
		http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut,
	} {
		asked := *r
		asked.Method = method
		if _, pattern := mux.Handler(&asked); pattern != "" && pattern != r.Pattern {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// allowOrigins lets pages of any origin call the client API, with any method and
// header (channelx.md 2.4).
func allowOrigins(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	h.Set("Access-Control-Allow-Headers", cmp.Or(r.Header.Get("Access-Control-Request-Headers"), "*"))
	h.Set("Access-Control-Max-Age", "7200")
	h.Add("Vary", "Access-Control-Request-Headers")
}
