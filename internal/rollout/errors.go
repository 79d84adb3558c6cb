package rollout

import "errors"

// Errors of a store, which the controller tells apart.
var (
	ErrConflict = errors.New("changed by someone else in the meantime")
	ErrFenced   = errors.New("a newer lease has been taken")
	ErrUnknown  = errors.New("not known")
)
