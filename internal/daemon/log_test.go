package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBoundLog_keepsTheOneBeforeAndThoseWhoWriteGoOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "titrate.log")
	if err := boundLog(path, 10); err != nil {
		t.Fatal("there is no log:", err)
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, step := range []struct{ write, now, before string }{
		{"first", "first", ""},
		{" second", "", "rst second"}, // its last 10 bytes
		{"third", "third", "rst second"},
		{" a long one", "", "a long one"},
	} {
		if _, err := log.WriteString(step.write); err != nil {
			t.Fatal(err)
		}
		if err := boundLog(path, 10); err != nil {
			t.Fatal(err)
		}
		now, _ := os.ReadFile(path)
		before, _ := os.ReadFile(path + ".1")
		if string(now) != step.now || string(before) != step.before {
			t.Errorf("after %q: %q, before it %q", step.write, now, before)
		}
	}
}
