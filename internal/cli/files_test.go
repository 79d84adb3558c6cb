package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What is no file is told so, by every command that reads one: nobody waits for a pipe
// that nobody writes to.
func TestFiles_whatIsNoFileIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, says string
		make       func(dir string) error
	}{
		{"validate", "named pipe", pipe("titrate.yaml")},
		{"init --yes", "named pipe", pipe("titrate.yaml")},
		{"config explain port", "named pipe", pipe("titrate.yaml")},
		{"validate", "a device", link("/dev/zero")},
		{"import compose.yaml", "named pipe", pipe("compose.yaml")},
		{"init --from compose.yaml", "named pipe", pipe("compose.yaml")},
		{"init --yes", "nothing", pipe("package.json")},
		{"import .", "is a folder", nil},
		{"import nope.yaml", "there is no file nope.yaml", nil},
		{"import compose.yaml", "not UTF-8", file("compose.yaml", "\x7fELF\xff\xfe\x00")},
		{"import compose.yaml", "larger than", file("compose.yaml", strings.Repeat("a: &a [*a, *a]\n", 350_000))},
		{"import compose.yaml", "error[T0901]", file("compose.yaml", "services: "+strings.Repeat("[", 1<<19))},
		{"import compose.yaml", "error[T0901]", file("compose.yaml", "services: "+strings.Repeat("{a: ", 1<<17))},
	} {
		t.Run(c.line+" "+c.says, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.make != nil {
				if err := c.make(dir); err != nil {
					t.Fatal(err)
				}
			}
			var out, said bytes.Buffer
			ended := make(chan int, 1)
			go func() {
				ended <- Main(t.Context(), strings.Fields(c.line), Terminal{In: strings.NewReader(""), Out: &out, Err: &said, Dir: dir, Env: append(os.Environ(), "TITRATE_DATA="+t.TempDir())})
			}()
			select {
			case code := <-ended:
				if code != exitUsage || !strings.Contains(said.String(), c.says) {
					t.Errorf("exit code %d, want 2 with %q: %.2000s%.2000s", code, c.says, &out, &said)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it hangs")
			}
		})
	}
}

func pipe(name string) func(string) error {
	return func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, name), 0o600) }
}

func link(to string) func(string) error {
	return func(dir string) error { return os.Symlink(to, filepath.Join(dir, "titrate.yaml")) }
}

func file(name, text string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
}
