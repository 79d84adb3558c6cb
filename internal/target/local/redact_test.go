package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"titrate/internal/world"

	"golang.org/x/sys/unix"
)

// A program that shows a title of its own has written it over the environment that
// /proc tells of: the values come from the wanted world then.
func TestAdopt_secretsOfAProgramWithATitleStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	perl, err := os.Stat("/usr/bin/perl")
	if err != nil || perl.IsDir() {
		t.Skip("no perl here, which can set its title; git brings it along elsewhere")
	}
	dir := newFolder(t)
	b := newBench(t, dir)
	f := run(1, 1)
	f.Worker = true
	f.Command = []string{"/usr/bin/perl", "-e", `$| = 1; my $s = $ENV{DB_PASSWORD}; $0 = "worker: idle" . ("." x 8000); while (1) { print "login with $s\n"; select(undef, undef, undef, 0.05); }`}
	f.Secrets = map[string]string{"DB_PASSWORD": "hunter2hunter2"}
	b.want(f)
	b.untilReady(1, 1)
	b.stop()
	again := prepare(t, dir)
	again.revision = b.revision + 5
	again.want(f) // from the node's snapshot
	again.start()
	again.untilReady(1, 1)
	said := func() (open, clean int) {
		for _, l := range again.logs(world.LogQuery{Workload: orders.Workload, Last: 100000}) {
			if strings.Contains(l.Text, "hunter2") {
				open++
			}
			if strings.Contains(l.Text, "[secret]") {
				clean++
			}
		}
		return open, clean
	}
	_, before := said()
	again.until("it writes on", func(Seen) bool { _, clean := said(); return clean > before+3 })
	if open, _ := said(); open > 0 {
		t.Errorf("%d lines of the log hold the secret", open)
	}
}

// Two supervisors read one line: neither half of a secret stays in the log.
func TestOutput_aSecretInTwoHalves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := mkfifos(dir); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(filepath.Join(dir, "stdout"), unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var got []string
	read := func(text string) {
		o, err := openOutputs(dir, newRedactor(map[string]string{"S": "correct-horse-battery-staple"}), func(_ string, lines [][]byte) {
			for _, l := range lines {
				got = append(got, string(l))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(fd, []byte(text)); err != nil {
			t.Fatal(err)
		}
		o.close()
	}
	read("using password correct-horse-")
	read("battery-staple for db\n")
	if all := strings.Join(got, "|"); all != "using password [secret]|[secret] for db" {
		t.Errorf("got %s", all)
	}
}
