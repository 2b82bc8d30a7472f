package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/parley-im/parley/domain"
)

// caller is the token behind a request.
type caller struct {
	domain.Token
}

// visit is one request that was let in. It belongs to the goroutine that serves it.
type visit struct {
	caller
	told bool // the operation itself has answered with a problem: its status stands
}

type visitKey struct{}

// visitOf finds the visit that admit began.
func visitOf(ctx context.Context) *visit {
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok {
		return &visit{}
	}
	return v
}

// admit lets a request through to its operation when its token may call it, and
// at most once under one Idempotency-Key. The order of the checks is token,
// role, address, body.
func (p *platform) admit(op operation) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		w.Header().Set("Cache-Control", "no-store")
		c, err := p.identify(r)
		if err == nil && !c.Role.Allows(op.need) {
			err = domain.Errorf(domain.CodeForbidden, "This needs a token of role %s; yours is %s.", op.need, c.Role)
		}
		if err == nil {
			err = checkAddress(r.URL)
		}
		if err == nil && op.mostBody > maxJSONBody {
			select {
			case p.uploads <- struct{}{}:
				defer func() { <-p.uploads }()
			default:
				err = domain.Errorf(domain.CodeUnavailable, "Too many files are being uploaded; repeat the request.")
			}
		}
		var body []byte
		if err == nil {
			body, err = readBody(r, op.mostBody)
		}
		if err != nil {
			p.told(r.Context(), ctx.Operation().OperationID, err).write(w)
			return
		}
		v := &visit{caller: c}
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
		r.Body = io.NopCloser(bytes.NewReader(body))
		if op.mostBody == maxJSONBody {
			// The body is JSON whatever the header says: curl -d says it is a form.
			r.Header.Set("Content-Type", "application/json")
		}
		serve := func(w http.ResponseWriter) {
			next(plainContext{humago.NewContext(ctx.Operation(), r, w), v})
		}
		if key := r.Header.Get(keyHeader); key != "" && r.Method == http.MethodPost {
			p.once(w, r, c, key, body, serve)
			return
		}
		serve(w)
	}
}

// identify finds whose token a request carries.
func (p *platform) identify(r *http.Request) (caller, error) {
	scheme, secret, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if secret = strings.TrimSpace(secret); !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return caller{}, domain.Errorf(domain.CodeUnauthorized, "Send a platform token in the header Authorization: Bearer <token>.")
	}
	t, ok := p.Tokens.Token(secret)
	if !ok {
		return caller{}, domain.Errorf(domain.CodeUnauthorized, "The token is not known.")
	}
	return caller{t}, nil
}

// checkAddress refuses what no store of ours could compare with.
func checkAddress(u *url.URL) error {
	if !utf8.ValidString(u.Path) || strings.IndexByte(u.Path, 0) >= 0 {
		return domain.Errorf(domain.CodeNotFound, "There is nothing at this address.")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return domain.Errorf(domain.CodeInvalid, "The query string cannot be read.")
	}
	for name, values := range query {
		for _, v := range values {
			if !utf8.ValidString(v) || strings.IndexByte(v, 0) >= 0 {
				return badParameter("query", name, "must be UTF-8 text without the character U+0000")
			}
		}
		if len(values) > 1 {
			return badParameter("query", name, "must be given once")
		}
	}
	return nil
}

// readBody takes the whole body into memory.
func readBody(r *http.Request, most int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	var tooLarge *http.MaxBytesError
	switch {
	case int64(len(body)) > most || errors.As(err, &tooLarge):
		return nil, domain.Errorf(domain.CodeTooLarge, "The body must be at most %d bytes.", most)
	case err != nil:
		return nil, domain.Errorf(domain.CodeInvalid, "The body could not be read to its end.")
	}
	return body, nil
}

// plainContext is huma's context with our statuses.
type plainContext struct {
	humaContext

	visit *visit
}

type humaContext huma.Context

// SetStatus sends the header.
func (c plainContext) SetStatus(status int) {
	if !c.visit.told {
		status = plainStatus(status)
	}
	c.humaContext.SetStatus(status)
}

// Unwrap gives the context inside.
func (c plainContext) Unwrap() huma.Context { return c.humaContext }
