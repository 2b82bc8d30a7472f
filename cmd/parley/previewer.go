package main

import "github.com/parley-im/parley/adapters/callback"

// previewer shows the calls of deliveries, on every node that has the platform API:
// it makes them up as the worker does, which may be another's.
func (n *node) previewer() callback.Previewer {
	return callback.Previewer{Channels: endpoints{n.registry}, Dialects: n.dialects(), UserAgent: userAgent()}
}
