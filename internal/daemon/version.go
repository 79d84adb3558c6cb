package daemon

import (
	"runtime/debug"
	"strings"
)

// release is the version of this program; CHANGELOG.md tells what is in it. Only the
// linker sets it: -ldflags "-X titrate/internal/daemon.release=1.2.3".
var release = "0.1.0-dev"

// Version names this program: its release and, where the build knows it, the
// commit it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return release + "+" + strings.ToLower(s.Value[:12])
		}
	}
	return release
}
