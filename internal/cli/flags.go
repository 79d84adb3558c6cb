package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"titrate/internal/manifest"
)

// The values of flags that know what they may be: a value that makes no sense is
// refused before anything is asked of anybody.

// duration is a length of time as the manifest writes it: 30s, 1h30m, 2d.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }
func (*duration) Type() string     { return "duration" }

func (d *duration) Set(text string) error {
	v, err := manifest.ParseDuration(text)
	*d = duration(v)
	return err
}

// count is how many there are to be of something: at least 1.
type count[T int | int64] struct{ of *T }

func (c count[T]) String() string {
	if c.of == nil {
		return "0"
	}
	return fmt.Sprint(*c.of)
}
func (count[T]) Type() string { return "int" }

func (c count[T]) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return errors.New("a whole number from 1 on is needed")
	}
	*c.of = T(n)
	return nil
}

// version is a version by its number: v5 or 5.
type version struct{ count[int] }

func (v version) Set(text string) error { return v.count.Set(strings.TrimPrefix(text, "v")) }
