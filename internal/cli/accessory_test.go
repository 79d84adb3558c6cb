package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"titrate/client"
)

// stocked is a server with an app that has a database, two backups of it, and a cache.
func stocked(t *testing.T) (env []string) {
	t.Helper()
	made := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)
	app := client.App{Name: "tiny", Release: 7, Environments: []client.Environment{{Name: "production"}}}
	return server(t, map[string]any{
		"/api/v1/apps":      []client.App{app},
		"/api/v1/apps/tiny": app,
		"/api/v1/apps/tiny/environments/production/accessories": []client.Accessory{
			{Name: "cache", Use: "redis", State: "backoff", Why: "exited with 1\noom", Restarts: 3, Secret: "REDIS_URL", Orphaned: 7},
			{
				Name: "db", Use: "postgres", State: "ready", Addr: "127.0.0.1:5432", Secret: "DATABASE_URL", Folder: "/data/db", Every: "1d", Unkept: "no room",
				Backups: []client.Backup{
					{Name: "20261125T030000Z", At: made.Add(-24 * time.Hour), Size: 2048, Tables: 2, Rows: 40, Holds: "2 tables, 40 rows", Rehearsed: made},
					{Name: "20261126T030000Z", At: made, Size: 3 << 20, Tables: 2, Rows: 41, Holds: "2 tables, 41 rows", Problem: "it restores to 1 tables\nmore"},
				},
			},
			{Name: "fresh", Use: "postgres", State: "starting", Secret: "FRESH_URL", Every: "6h"},
		},
	})
}

func TestAccessory_lsTellsHealthBackupsAndWhatToType(t *testing.T) {
	t.Parallel()
	out, said, code := call(t, "", stocked(t), "accessory", "ls")
	if code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, out, said)
	}
	for _, want := range []string{
		"cache  accessory redis  backoff", "3 restarts", "exited with 1\n│      oom", "titrate accessory rm cache --confirm cache",
		"db  accessory postgres  ready  127.0.0.1:5432  gives DATABASE_URL", "2 backups", "3.0 MiB, ✖ it restores to 1 tables",
		"the backup that was due could not be made: no room", "no backup yet; the first is made 6h after the data",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, _, code = call(t, "", stocked(t), "accessory", "backups", "db")
	if newest, older := strings.Index(out, "20261126T030000Z"), strings.Index(out, "20261125T030000Z"); code != exitDone || newest < 0 || older < newest ||
		!strings.Contains(out, "2 tables, 40 rows") || !strings.Contains(out, "✔ rehearsed") || !strings.Contains(out, "/data/db/backups") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, _, code = call(t, "", stocked(t), "accessory", "backups", "fresh"); code != exitDone || !strings.Contains(out, "titrate accessory backup fresh makes one") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// What cannot be taken back is asked for twice, and nothing is done before.
func TestAccessory_whatCutsConnectionsIsConfirmed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, help string }{
		{"rm db", "titrate accessory rm db --confirm db"},
		{"rm db --confirm cache", "titrate accessory rm db --confirm db"},
		{"restore db", "titrate accessory backups db"},
		{"restore db --backup 20261125T030000Z", "titrate accessory restore db --backup 20261125T030000Z --confirm db"},
		{"backups nothing", "titrate accessory ls"},
		{"logs nothing", "titrate accessory ls"},
	} {
		_, said, code := call(t, "", stocked(t), append([]string{"accessory"}, strings.Fields(c.args)...)...)
		if code != exitUsage || !strings.Contains(said, c.help) {
			t.Errorf("%s: exit code %d, %s", c.args, code, said)
		}
	}
}

// A task is waited for; how it ended is the exit code.
func TestAccessory_aTaskIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state, why, want string
		code             int
	}{
		{"done", "backup 20261127T030000Z: 2 tables, 41 rows", "✔ backup 20261127T030000Z: 2 tables, 41 rows", exitDone},
		{"failed", "the dump exited with 1", "backup of db: the dump exited with 1", exitFailed},
	} {
		var looks atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			task := client.Task{ID: 4, Kind: "backup", State: "asked"}
			var answer any
			switch path := strings.TrimPrefix(r.URL.Path, "/api/v1/apps"); {
			case path == "":
				answer = []client.App{{Name: "tiny", Environments: []client.Environment{{Name: "production"}}}}
			case path == "/tiny":
				answer = client.App{Name: "tiny", Environments: []client.Environment{{Name: "production"}}}
			case r.Method == http.MethodPost && strings.HasSuffix(path, "/accessories/db/tasks"):
				answer = task
			default:
				if looks.Add(1) > 1 {
					task.State, task.Why = c.state, c.why
				}
				answer = []client.Accessory{{Name: "db", Use: "postgres", State: "ready", Task: &task}}
			}
			if err := json.NewEncoder(w).Encode(answer); err != nil {
				t.Error(err)
			}
		}))
		t.Cleanup(srv.Close)
		out, said, code := call(t, "", []string{"TITRATE_SERVER=" + srv.URL, "TITRATE_TOKEN=t"}, "accessory", "backup", "db")
		if code != c.code || !strings.Contains(out+said, c.want) || looks.Load() != 2 {
			t.Errorf("exit code %d after %d looks\n%s%s", code, looks.Load(), out, said)
		}
	}
}
