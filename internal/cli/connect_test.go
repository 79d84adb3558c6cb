package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

// Who has installed the package has a server, but not of their own: they are told how
// to come to it, and not to start a second one.
func TestConnect_saysHowToComeToThePackagesServer(t *testing.T) {
	t.Parallel()
	mine, service := filepath.Join(t.TempDir(), "mine"), t.TempDir()
	said := noServer(mine, service, "ann").Error()
	if !strings.Contains(said, "sudo -u titrate titrate token create ann --data "+service+" | titrate login http://127.0.0.1:7070") || strings.Contains(said, "titrate up") {
		t.Error(said)
	}
	if said := noServer(mine, service, "$(reboot)").Error(); !strings.Contains(said, "token create me ") {
		t.Error(said)
	}
	for _, none := range []string{filepath.Join(service, "none"), mine} {
		if said := noServer(mine, none, "ann").Error(); !strings.Contains(said, "help    titrate up; or titrate login URL") {
			t.Error(said)
		}
	}
}
