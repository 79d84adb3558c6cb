package manifest

import (
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"

	"github.com/google/go-cmp/cmp"
)

// The commands of a backup are the same in the long form of a file, whatever is in them.
func TestBackup_commands(t *testing.T) {
	t.Parallel()
	const src = `titrate: 1
app: shop
services:
  web: { secrets: [SQL_URL, MAIL_URL] }
accessories:
  sql:
    image: mysql:8
    backup: { command: 'mysqldump -p"$PASSWORD" # {all}', restore: 'mysql: x', check: "echo 'a\\b'", at: "03:00", keep: 9 }
  mail: { run: mailpit, backup: { command: cat mail.db } }
`
	app, problems := Parse([]byte(src), File)
	if app == nil {
		t.Fatal(problems)
	}
	sql, mail := app.Accessories[0], app.Accessories[1]
	want := &rollout.BackupCommands{Dump: `mysqldump -p"$PASSWORD" # {all}`, Restore: "mysql: x", Check: `echo 'a\b'`}
	if diff := cmp.Diff(want, sql.Commands); diff != "" || sql.At != "03:00" || sql.Keep != 9 || !sql.Scheduled() {
		t.Errorf("%s\n%+v", diff, sql)
	}
	if mail.Commands == nil || mail.Every != 24*time.Hour || mail.Keep != 7 {
		t.Errorf("%+v", mail)
	}
	long := Expand(app)
	again, problems := Parse([]byte(long), File)
	if again == nil {
		t.Fatalf("%s\n%s", long, problems)
	}
	if diff := equal(app, again); diff != "" || strings.Count(long, "command: ") != 2 {
		t.Errorf("%s\n%s", diff, long)
	}
	for _, text := range []string{src, long} {
		if err := validate(t, []byte(text)); err != nil {
			t.Errorf("the schema refuses it: %v\n%s", err, text)
		}
	}
}
