package channelx

import (
	"time"

	"github.com/parley-im/parley/domain"
)

// view renders things as the wire shows them (channelx.md 3).
type view struct {
	directory directory
	inboxes   inboxes
	minter    minter
	now       func() time.Time
}

func newView(cfg Config) *view {
	return &view{directory: cfg.Directory, inboxes: cfg.Inboxes, minter: cfg.Minter, now: cfg.Now}
}

// accountOf gives the account of a channel, as others show it.
func (v *view) accountOf(name string) domain.Named {
	a, _ := v.directory.Account(name)
	return domain.Named{ID: a.WireNumber(), Name: a.Title}
}
