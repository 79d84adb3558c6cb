package manifest

import (
	"fmt"
	"io"
)

// Read reads a manifest's text from r: of what is too long for [Parse] no more than
// it takes to see that.
func Read(r io.Reader) ([]byte, error) {
	src, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err == nil && len(src) > maxSize {
		err = fmt.Errorf("it is longer than %d bytes", maxSize)
	}
	return src, err
}
