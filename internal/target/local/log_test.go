package local

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

func TestLogs_readAndFollow(t *testing.T) {
	t.Parallel()
	b := newBench(t, newFolder(t))
	b.want(run(3, 1, "serve"))
	addr := b.untilReady(3, 1)[0].Addr
	for _, text := range []string{"one", "two", "three"} {
		get(t, addr, "/print?text="+text)
	}
	b.until("three lines", func(Seen) bool { return len(b.logs(world.LogQuery{})) == 3 })
	if got := b.logs(world.LogQuery{Workload: "orders", Version: 3, Last: 2}); len(got) != 2 || got[0].Text != "two" || got[0].Stream != "stdout" ||
		got[0].Instance != "orders-v3-a" || got[0].Version != 3 || got[0].Key != orders {
		t.Errorf("the last two: %+v", got)
	}
	for only, want := range map[string]int{"orders": 3, "cart": 0} {
		if got := b.logs(world.LogQuery{Only: map[string]rollout.Version{only: 3}}); len(got) != want {
			t.Errorf("only %s: %+v", only, got)
		}
	}
	if got := b.logs(world.LogQuery{Version: 4}); len(got) != 0 {
		t.Errorf("of another version: %+v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var texts []string
	for l, err := range ReadLogs(ctx, b.cfg.Logs, world.LogQuery{App: "cofe", Env: "production", Last: 1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if texts = append(texts, l.Text); l.Text == "three" {
			get(t, addr, "/print?text=four")
		}
		if l.Text == "four" {
			break
		}
	}
	if fmt.Sprint(texts) != "[three four]" {
		t.Errorf("followed: %v", texts)
	}
}

func TestLogs_rotateAndFollowAcross(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	at := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	dir := logDir(root, orders)
	l := &logFile{dir: dir, size: 1000, keep: 3, log: slog.New(slog.DiscardHandler), now: func() time.Time { at = at.Add(time.Second); return at }}
	r := logReader{root: root, query: world.LogQuery{App: "cofe", Env: "production", Workload: "orders"}, tails: map[rollout.Key]*tail{}}
	defer r.close()
	var got []string
	for i := range 100 {
		l.write("orders-v1-a", "stdout", [][]byte{fmt.Appendf(nil, "line %d", i)})
		if i%7 == 0 {
			lines, err := r.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range lines {
				got = append(got, line.Text)
			}
		}
	}
	for i, text := range got {
		if text != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d reads %q", i, text)
		}
	}
	if len(got) != 99 {
		t.Errorf("%d lines followed, want 99", len(got))
	}
	files := logFiles(dir)
	if len(files) != 3 {
		t.Errorf("%d files are kept, want 3: %v", len(files), files)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() > 1000 {
			t.Errorf("%s: %v, %d bytes", f, err, st.Size())
		}
	}
}

func TestLogs_aFullDiskNeverHoldsAWorkloadUp(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	logs := logDir(filepath.Join(dir, "logs"), orders)
	if err := os.MkdirAll(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	current := filepath.Join(logs, currentLog)
	if err := os.Symlink("/dev/full", current); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, dir)
	b.want(run(1, 1, "spam", "50000")) // 2.5 MB: more than the FIFO takes
	addr := b.untilReady(1, 1)[0].Addr
	b.until("the disk is full", func(s Seen) bool { return s.DiskFull })
	os.Remove(current)
	b.logFile(orders).close()
	get(t, addr, "/print?text=again")
	b.until("lines are kept again", func(s Seen) bool {
		text, _ := os.ReadFile(current)
		return !s.DiskFull && strings.Contains(string(text), "lines were dropped: the disk was full") && strings.Contains(string(text), "again")
	})
}

func TestOutput_secretsAreTakenOutOfEveryLine(t *testing.T) {
	t.Parallel()
	pem := "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END KEY-----"
	r := newRedactor(map[string]string{"A": "open sesame", "B": pem, "C": `quo"ted`, "D": "abc", "LONG": "open sesame and more"})
	long := strings.Repeat("x", longestLine-5) + "open sesame" + strings.Repeat("y", 100)
	for text, want := range map[string]string{
		"say open sesame now\n":                      "say [secret] now\n",
		"open sesame and more\n":                     "[secret]\n",
		"MIIEvQIBADANBgkqhkiG in one line of many\n": "[secret] in one line of many\n",
		"  MIIEvQIBADANBgkqhkiG  \n":                 "  [secret]  \n",
		`{"msg":"quo\"ted"}` + "\n":                  `{"msg":"[secret]"}` + "\n",
		"abc is too short to hide\r\n":               "abc is too short to hide\n",
		"no newline open sesame":                     "no newline [secret]\n",
		"a\n\nb\n":                                   "a\n\nb\n",
		long + "\n":                                  strings.Replace(long, "open sesame", "[secret]", 1) + "\n",
	} {
		for _, chunk := range []int{1, 7, 4096, 1 << 20} {
			got := through(r, []byte(text), chunk)
			if len(text) > longestLine {
				got = strings.ReplaceAll(got, "\n", "") + "\n" // split somewhere
			}
			if got != want {
				t.Errorf("in chunks of %d: %.60q became %.60q, want %.60q", chunk, text, got, want)
			}
		}
	}
}

// through sends text through a stream in chunks.
func through(r *redactor, text []byte, chunk int) string {
	var out bytes.Buffer
	st := &stream{redact: r, emit: func(lines [][]byte) {
		for _, l := range lines {
			out.Write(l)
			out.WriteByte('\n')
		}
	}}
	for len(text) > 0 {
		n := min(chunk, len(text))
		st.take(text[:n])
		text = text[n:]
	}
	if len(st.pending) > 0 {
		st.lines(append(st.pending, '\n'))
	}
	return out.String()
}

func FuzzOutput_neverLeaksASecret(f *testing.F) {
	f.Add([]byte("say open sesame now"), 3, 10)
	f.Add([]byte("open open sesamesesame\n"), 1, longestLine)
	f.Fuzz(func(t *testing.T, text []byte, chunk, pad int) {
		if chunk < 1 || pad < 0 || pad > 2*longestLine {
			t.Skip()
		}
		text = append(bytes.Repeat([]byte("x"), pad), text...)
		got := through(newRedactor(map[string]string{"A": "open sesame"}), text, chunk)
		for line := range strings.Lines(got) {
			if len(line) > longestLine+1 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
		if joined := strings.ReplaceAll(got, "\n", ""); strings.Contains(got, "open sesame") || strings.Contains(joined, "open sesame") && !bytes.Contains(text, []byte("\n")) && !bytes.Contains(text, []byte("\r")) {
			t.Errorf("leaked by %q", text)
		}
	})
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte("2026-11-22T07:38:48.567000000Z\torders-v17-a\tstdout\thello\tworld"))
	f.Add([]byte("\t\t\t"))
	f.Fuzz(func(t *testing.T, line []byte) {
		l, ok := parseLine(orders, line)
		if ok && !bytes.HasSuffix(line, []byte("\t"+l.Text)) {
			t.Errorf("%q reads %+v", line, l)
		}
	})
}
