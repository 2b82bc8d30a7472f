package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/parley-im/parley/domain"
)

// noun is a kind of things that an account has under numbers: queues, tags and
// the like. D is the thing, N what makes one, C what changes one, V what is shown
// of it. create, change and remove run alone on this node, so what they have
// looked up still holds when they write.
type noun[D, N, C, V any] struct {
	path      string // under /v1
	tag       string // heading of the description
	one, many string // for people, without an article
	operation string // in the names of operations, where one has a space

	whenMade, whenChanged, whenRemoved string // for the description
	changedBy                          domain.Role

	all    func(account string) []D
	read   func(account string, number int64) (D, bool)
	number func(D) int64
	show   func(D) V
	create func(ctx context.Context, c caller, key string, in N) (D, error)
	change func(ctx context.Context, c caller, d D, in C) (D, error)
	remove func(ctx context.Context, c caller, d D) error
}

// NumberPath names a thing by its number.
type NumberPath struct {
	ID string `path:"id" doc:"Its number in the account." example:"3"`
}

type madeOutput[V any] struct {
	Location string `header:"Location"`
	Body     V
}

type shownOutput[V any] struct {
	Body V
}

// nounRoutes puts the five operations of a kind of things on the mux. It is a
// function because methods have no type parameters.
func nounRoutes[D, N, C, V any](p *platform, n noun[D, N, C, V]) {
	path, one, changedBy := "/v1/"+n.path, "/v1/"+n.path+"/{id}", n.changedBy
	if changedBy == "" {
		changedBy = domain.RoleAdmin
	}
	name := cmp.Or(n.operation, n.one)
	handle(p, operation{
		id: "create-" + name, method: http.MethodPost, path: path, tag: n.tag, need: domain.RoleAdmin,
		summary: "Create a " + n.one, status: http.StatusCreated, description: n.whenMade,
	}, func(ctx context.Context, c caller, in *struct {
		KeyParam
		Body N
	},
	) (*madeOutput[V], error) {
		leave, err := p.alone(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
		d, err := n.create(ctx, c, in.Key, in.Body)
		if err != nil {
			return nil, err
		}
		return &madeOutput[V]{Location: fmt.Sprintf("%s/%d", path, n.number(d)), Body: n.show(d)}, nil
	})
	handle(p, operation{
		id: "list-" + n.path, method: http.MethodGet, path: path, tag: n.tag, need: domain.RoleReader,
		summary: "List " + n.many, description: "By number.",
	}, func(_ context.Context, c caller, in *PageParams) (*shownOutput[list[V]], error) {
		part, next, err := cut(n.all(c.Account), in.page(), func(d D) string { return numberKey(n.number(d)) })
		if err != nil {
			return nil, err
		}
		return &shownOutput[list[V]]{listOf(part, next, n.show)}, nil
	})
	handle(p, operation{
		id: "get-" + name, method: http.MethodGet, path: one, tag: n.tag, need: domain.RoleReader,
		summary: "Read a " + n.one,
	}, func(_ context.Context, c caller, in *NumberPath) (*shownOutput[V], error) {
		d, err := n.of(c, in.ID)
		if err != nil {
			return nil, err
		}
		return &shownOutput[V]{n.show(d)}, nil
	})
	handle(p, operation{
		id: "change-" + name, method: http.MethodPatch, path: one, tag: n.tag, need: changedBy,
		summary: "Change a " + n.one, description: n.whenChanged,
	}, func(ctx context.Context, c caller, in *struct {
		NumberPath
		Body C
	},
	) (*shownOutput[V], error) {
		leave, err := p.alone(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
		d, err := n.of(c, in.ID)
		if err != nil {
			return nil, err
		}
		if d, err = n.change(ctx, c, d, in.Body); err != nil {
			return nil, err
		}
		return &shownOutput[V]{n.show(d)}, nil
	})
	handle(p, operation{
		id: "delete-" + name, method: http.MethodDelete, path: one, tag: n.tag, need: domain.RoleAdmin,
		summary: "Delete a " + n.one, status: http.StatusNoContent, description: n.whenRemoved,
		problems: []int{http.StatusConflict},
	}, func(ctx context.Context, c caller, in *NumberPath) (*struct{}, error) {
		leave, err := p.alone(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
		d, err := n.of(c, in.ID)
		if err != nil {
			return nil, err
		}
		return nil, n.remove(ctx, c, d)
	})
}

// of finds a thing of the caller's account.
func (n noun[D, N, C, V]) of(c caller, text string) (D, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	d, ok := n.read(c.Account, number)
	if err != nil || !ok {
		return d, notFound(n.one, text)
	}
	return d, nil
}

// mostThings bounds the things of a kind that an account has: they are in every
// node's memory.
const mostThings = 10_000

// next gives a number that nothing in the list has, and nothing has had.
// CodeConflict when the account has as many as it may.
func next[D any](ctx context.Context, p *platform, account, kind string, all []D, number func(D) int64) (int64, error) {
	if len(all) >= mostThings {
		return 0, domain.Errorf(domain.CodeConflict, "An account has at most %d things of the kind %s.", mostThings, kind)
	}
	var above int64
	for _, d := range all {
		above = max(above, number(d))
	}
	got, err := p.Numbers.Next(ctx, account, kind, above)
	if err != nil {
		return 0, fmt.Errorf("get a number for a %s: %w", kind, err)
	}
	return got, nil
}

// free makes sure that no other thing has a name. Names are told apart as they
// are written.
func free[D any](all []D, field, one, name string, mine int64, of func(D) (int64, string)) error {
	for _, d := range all {
		if number, is := of(d); is == name && number != mine {
			return clash(field, "is taken: there is a %s of that name, with id %d", one, number)
		}
	}
	return nil
}

// alone waits until nobody else on this node changes settings that name each
// other. Other nodes may: each setting is checked again where it is used, so a
// name that has gone meanwhile does no harm but to mean nothing.
func (p *platform) alone(ctx context.Context) (leave func(), err error) {
	select {
	case p.changes <- struct{}{}:
		return func() { <-p.changes }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other changes of settings: %w", ctx.Err())
	}
}

// numberKey orders things by number; it is a cursor of the form that cut takes.
func numberKey(number int64) string { return fmt.Sprintf("%0*x-n", ageKeyWidth, number) }
