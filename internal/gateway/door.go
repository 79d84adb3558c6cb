package gateway

import "sync/atomic"

// counter counts up and down, and is read from anywhere.
type counter = atomic.Int64

// door is one of the gateway's listeners, as the loops serve it.
type door struct {
	*front
	open  counter // connections
	moved *moved  // where those go that are not plain
}
