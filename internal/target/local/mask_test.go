package local

import (
	"strings"
	"syscall"
	"testing"
)

// TestImage_theMaskOfANodeIsNotThePrograms is not parallel: the mask is everybody's.
func TestImage_theMaskOfANodeIsNotThePrograms(t *testing.T) {
	needImages(t)
	dir := newFolder(t)
	addPicture(t, dir)
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	b := newBench(t, dir)
	b.want(imaged(run(1, 1, "serve")))
	at := b.untilReady(1, 1)[0].Addr
	for path, want := range map[string]string{"/cat?path=/etc/hosts": "localhost", "/cat?path=/etc/hostname": "orders-v1-a", "/walls": `"Umask":"0022"`} {
		if got := get(t, at, path); !strings.Contains(got, want) {
			t.Errorf("%s: %q", path, got)
		}
	}
}
