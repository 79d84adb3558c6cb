//go:build !linux

package gateway

import (
	"context"
	"net"
)

// loops are Linux's; elsewhere all is served by net/http.
type loops struct{}

// Loops is how many threads a gateway holds that serves.
func Loops() int { return 0 }

func newLoops(*Gateway) *loops                                   { return nil }
func (*loops) can(net.Listener) bool                             { return false }
func (*loops) accept(context.Context, net.Listener, *door) error { return nil }
func (*loops) hurry()                                            {}
func (*loops) end()                                              {}
