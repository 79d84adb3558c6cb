package rollout_test

import (
	"reflect"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// Whatever a change holds, alone or beside something else, is worth a transaction.
func TestChange_isEmptyOnlyWithoutAnything(t *testing.T) {
	t.Parallel()
	if !(rollout.Change{At: time.Unix(1, 0)}).Empty() {
		t.Error("a time alone is nothing to store")
	}
	kind := reflect.TypeFor[rollout.Change]()
	for i := range kind.NumField() {
		var alone, beside rollout.Change
		beside.Pushes = []rollout.Push{{}}
		for _, c := range []*rollout.Change{&alone, &beside} {
			switch f := reflect.ValueOf(c).Elem().Field(i); {
			case f.Kind() == reflect.Slice:
				f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			case kind.Field(i).Name == "Watched":
				c.Watched = time.Unix(1, 0)
			default: // the token and the time, which go with every change
				c.Pushes = []rollout.Push{{}}
			}
			if c.Empty() {
				t.Errorf("with %s it counts as empty", kind.Field(i).Name)
			}
		}
	}
}
