package auth

import (
	"errors"
	"slices"
)

// Role is what a token is good for. Each may what those before it may.
type Role string

// The roles, the one that may least first. What lets more traffic through before its
// time, or in spite of an alarm, is an approver's; what makes it safer is a
// deployer's already.
const (
	Viewer   Role = "viewer"   // may read everything but secrets' values, which nobody may
	Deployer Role = "deployer" // may push, set secrets, pause, abort and roll back
	Approver Role = "approver" // may promote, resume, retry and set weights
	Admin    Role = "admin"    // may everything: tokens, restoring, removing
)

// Roles lists them, the one that may least first.
func Roles() []Role { return []Role{Viewer, Deployer, Approver, Admin} }

// May reports whether the role is enough where need is asked for. What is no role is
// enough for nothing, and where none is named nothing is enough.
func (r Role) May(need Role) bool {
	mine, asked := slices.Index(Roles(), r), slices.Index(Roles(), need)
	return mine >= 0 && asked >= 0 && mine >= asked
}

// ErrRole is returned for a role that there is not.
var ErrRole = errors.New("no such role: viewer, deployer, approver or admin")
