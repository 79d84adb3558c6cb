package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

var update = flag.Bool("update", false, "write the rows of the present format anew")

// tables in the order in which their rows are written.
var tables = []string{
	"sequences", "apps", "releases", "workloads", "accessories", "versions", "promotions", "rollouts", "members", "history", "commands", "events", "pushes",
}

// dump writes a database's rows as SQL.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	var out strings.Builder
	for _, table := range tables {
		rows, err := s.read.QueryContext(t.Context(), `SELECT * FROM `+table)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "DELETE FROM %s;\n", table)
		for rows.Next() {
			values := make([]any, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				if text, ok := v.(string); ok {
					values[i] = "'" + strings.ReplaceAll(text, "'", "''") + "'"
				}
			}
			fmt.Fprintf(&out, "INSERT INTO %s (%s) VALUES (%s);\n", table, strings.Join(columns, ", "),
				joined(values))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func joined(values []any) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = fmt.Sprint(v)
	}
	return strings.Join(all, ", ")
}

// TestOpen_everyFormatEverWrittenStillLoads opens databases as older programs
// left them. A new format adds a file; the old ones stay.
func TestOpen_everyFormatEverWrittenStillLoads(t *testing.T) {
	t.Parallel()
	present := fmt.Sprintf("testdata/format%d.sql", formats(t))
	if *update {
		writeGolden(t, present)
	}
	for number := 1; number <= formats(t); number++ {
		rows, err := os.ReadFile(fmt.Sprintf("testdata/format%d.sql", number))
		if err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		old, err := connect(filepath.Join(folder, "titrate.db"), 1, "_txlock=immediate")
		if err != nil {
			t.Fatal(err)
		}
		text := `CREATE TABLE format (number INTEGER NOT NULL); INSERT INTO format (number) VALUES (` + fmt.Sprint(number) + `);`
		for n := 1; n <= number; n++ {
			m, err := migrations.ReadFile(fmt.Sprintf("migrations/%04d.sql", n))
			if err != nil {
				t.Fatal(err)
			}
			text += string(m)
		}
		if _, err := old.ExecContext(t.Context(), text+string(rows)); err != nil {
			t.Fatal(err)
		}
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, Options{Folder: folder})
		checkGolden(t, s, number)
	}
}

func formats(t *testing.T) int {
	t.Helper()
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func writeGolden(t *testing.T, path string) {
	t.Helper()
	s := openStore(t, Options{})
	token := lease(t, s)
	commit(t, s, opening(token, 1, 1))
	r, err := s.Rollout(context.WithoutCancel(t.Context()), 1)
	if err != nil {
		t.Fatal(err)
	}
	c := moving(token, r, rollout.Retiring)
	c.Looks[0].After.Outcome = rollout.Promoted
	c.Promotions = []rollout.Promotion{{Key: orders, Version: 1, Release: 1, Rollout: 1, At: start}}
	c.Refusals = []rollout.Refusal{{Key: orders, Version: 1, Ended: rollout.RolledBack, Why: "it's slow"}}
	c.Baselines = []rollout.BaselineRecord{{Rollout: 1, Key: orders, Baseline: slow}}
	c.Commands = []rollout.Asked{{Rollout: 1, At: start, Command: rollout.Command{ID: 1, Verb: rollout.PauseVerb, By: "ana"}}}
	c.Accessories = []rollout.AccessoryRecord{database}
	c.Pushes = []rollout.Push{{ID: 1, App: "cofe", Stage: rollout.PushAccepted, At: start, Manifest: []byte("titrate: 1\n")}}
	commit(t, s, c)
	if err := os.WriteFile(path, []byte(dump(t, s)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// database is an accessory, in a format that has them.
var database = rollout.AccessoryRecord{
	Key: rollout.Key{App: "cofe", Env: "production", Workload: "db"}, Spec: rollout.AccessorySpec{Use: "postgres", Secret: "DATABASE_URL"}, Release: 1, Credential: "abc",
}

// slow is what stable did, in a format that has it.
var slow = analysis.Baseline{Window: analysis.Window{
	Start: start, Length: time.Minute, Requests: 2, Latency: analysis.Histogram{Bucket: []uint16{7}, Count: []uint64{2}},
}}

func checkGolden(t *testing.T, s *Store, format int) {
	t.Helper()
	c, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Live) != 1 || len(c.Workloads) != 1 || len(c.Versions) != 1 || len(c.Promotions) != 1 || len(c.Commands) != 1 || len(c.Pushes) != 1 {
		t.Fatalf("%+v", c)
	}
	if l := c.Live[0]; l.State.Outcome != rollout.Promoted || l.Revision != 2 || l.Plan.Members[0].Instances != 2 || l.By != "ana" {
		t.Errorf("%+v", l)
	}
	if has := len(c.Baselines) == 1; has != (format >= 2) || has && cmp.Diff(slow, c.Baselines[0].Baseline) != "" {
		t.Errorf("%+v", c.Baselines)
	}
	if has := len(c.Accessories) == 1; has != (format >= 3) || has && cmp.Diff(database, c.Accessories[0]) != "" {
		t.Errorf("%+v", c.Accessories)
	}
	if v := c.Versions[0]; v.Refused != "it's slow" || v.Ended != rollout.RolledBack {
		t.Errorf("%+v", v)
	}
	history, err := s.History(t.Context(), 1)
	if err != nil || len(history) != 1 || history[0].After.Why != "because" || history[0].Core == 0 {
		t.Errorf("%+v, %v", history, err)
	}
	if e, err := s.Events(t.Context(), 0, "", 9); err != nil || len(e) != 1 {
		t.Errorf("%+v, %v", e, err)
	}
}
