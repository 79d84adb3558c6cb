package rollout_test

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"titrate/internal/analysis"
	"titrate/internal/rollout"
)

var update = flag.Bool("update", false, "add the state of this core version to the golden file")

const goldenFile = "testdata/states.json"

// TestR19_oldStatesLoad holds that what any version of the core has stored still
// loads, with every field. The file only grows: a field that is renamed or
// dropped fails here.
func TestR19_oldStatesLoad(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var stored []json.RawMessage
	if err := json.Unmarshal(data, &stored); err != nil {
		t.Fatal(err)
	}
	if *update {
		stored = append(stored, []byte(encode(fullLook())))
		all, err := json.MarshalIndent(stored, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenFile, append(all, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	newest := 0
	for i, raw := range stored {
		var look rollout.Look
		decoder := json.NewDecoder(strings.NewReader(string(raw)))
		decoder.DisallowUnknownFields() // here only: a field in the file that the code forgot
		if err := decoder.Decode(&look); err != nil {
			t.Errorf("row %d does not load: %v", i+1, err)
			continue
		}
		var was, is any
		if err := json.Unmarshal(raw, &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(encode(look)), &is); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(was, is) {
			t.Errorf("row %d changes when loaded:\n%v\n%v", i+1, was, is)
		}
		newest = max(newest, look.Core)
	}
	if newest != rollout.CoreVersion {
		t.Errorf("the newest row is of core %d: run with -update", newest)
	}
}

// TestR19_goldenIsFull holds that the golden row leaves no field of a look empty.
func TestR19_goldenIsFull(t *testing.T) {
	t.Parallel()
	var look func(path string, v reflect.Value)
	look = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() {
				t.Errorf("%s is empty", path)
				return
			}
			look(path, v.Elem())
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				break
			}
			for i := range v.NumField() {
				look(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
			return
		case reflect.Slice:
			if v.Len() == 0 {
				t.Errorf("%s is empty", path)
				return
			}
			look(path+"[0]", v.Index(0))
			return
		default:
		}
		if v.IsZero() {
			t.Errorf("%s is empty", path)
		}
	}
	look("Look", reflect.ValueOf(fullLook()))
}

// fullLook has a value in every field. It need not make sense.
func fullLook() rollout.Look {
	at := time.Date(2026, 11, 22, 7, 30, 15, 123456789, time.UTC)
	reading := analysis.Reading{
		Alarm: "errors", Verdict: analysis.Fail, Abstains: true, Err: "down", Reaction: analysis.ReactRollback, Value: 0.079, Limit: 0.01,
		Stable: 0.002, StableKnown: true, Requests: 400, Bad: 32, Min: 20, Breaching: 2, M: 2, N: 3, Since: at, Closed: at, Text: "5xx was 7.9 %",
	}
	state := rollout.State{
		Phase: rollout.Returning, Outcome: rollout.RolledBack, Why: "orders v17: 5xx was 7.9 %", Since: at, Attempt: 2, Step: 1, Weight: 2000,
		Arrived: at, Began: at, Gap: time.Second, Unserved: at, Short: at, Unjudged: at, Up: true, Took: true, Stable: []rollout.Version{16}, Same: []bool{true}, Exclusive: []bool{true}, Handed: true, Restarts: []int{3}, Invoked: []uint64{40}, Shares: []rollout.Weight{2000},
		Pause: &rollout.Pause{Owner: "ada", Reason: "lunch", Since: at, Until: at, Cause: "orders/alarm errors@1"},
		Back:  &rollout.Back{Outcome: rollout.RolledBack, Why: "5xx", Member: 1, Evidence: &reading, Since: at, From: 2000, Hurried: true, Ahead: true},
		Hooks: []rollout.HookRecord{{Key: "k", Kind: rollout.HookStep, Member: 1, Command: "./smoke", Attempt: 2, Step: 1, Asked: at, Done: true, Exit: 1, Problem: "timed out", Waived: true}},
		Held:  true, HeldAt: 2000, Waived: []string{"orders/alarm errors@0"}, Unmeasured: true, NoBaseline: true,
		Notices: []string{"orders: latency"}, Command: 9, Refused: "it is not paused",
	}
	return rollout.Look{
		Rollout: 7, Sequence: 3, Core: rollout.CoreVersion, At: at, Before: state, After: state,
		Seen: rollout.Seen{
			Members: []rollout.MemberSeen{{
				Stable: 16, Same: true, Exclusive: true, Free: true, Refused: "r41", Ready: 2, Unready: "404", StableReady: 4, Restarts: 3, Invoked: 61, Failure: "exit 1", Served: 2000, Open: 3, Idle: time.Minute,
				Readings: []analysis.Reading{reading},
			}},
			Hooks:    map[string]rollout.HookResult{"k": {Running: true, Exit: 1, TimedOut: true, Lost: true, Log: "no"}},
			Commands: []rollout.Command{{ID: 9, Verb: rollout.Resume, By: "ada", Weight: 100, Step: 1, For: time.Minute, Reason: "done"}},
			Ahead:    true, Newer: &rollout.Newer{Rollout: 8, Release: 43, Overlap: rollout.OverlapNext, Urgent: true, Covers: true},
			Cut: &rollout.Cut{At: at, Served: 50}, Unwatched: at,
		},
	}
}

// TestReplay_namesWhatDiffers changes a stored answer.
func TestReplay_namesWhatDiffers(t *testing.T) {
	t.Parallel()
	p, s, seen, now := heldStep(t)
	look := rollout.Look{Rollout: 7, Sequence: 12, Core: rollout.CoreVersion, At: now, Before: s, Seen: seen, After: rollout.Next(p, s, seen, now)}
	if err := look.Replay(p); err != nil {
		t.Fatal(err)
	}
	look.After.Weight, look.After.Refused = 5, "no"
	err := look.Replay(p)
	if want := `look 12 of rollout 7: refused: stored "no", now nothing; weight: stored 5, now 1000`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	look.Core = 0
	err = look.Replay(p)
	if err == nil || !strings.Contains(err.Error(), "was decided by core 0, this is core 5: refused") {
		t.Errorf("got %v", err)
	}
}

// TestR19_monotonicClockIsNotStored replays a look that was decided with the
// process's own clock, in another zone.
func TestR19_monotonicClockIsNotStored(t *testing.T) {
	t.Parallel()
	p, s, seen, _ := heldStep(t)
	now := time.Now().In(time.FixedZone("KWT", 3*3600))
	after := rollout.Next(p, s, seen, now)
	if got := rollout.New(p, now).Since; got != got.Round(0) || got.Location() != time.UTC {
		t.Errorf("New keeps %v", got)
	}
	seen.Members[0].Ready = 0
	short := rollout.Next(p, after, seen, now).Short
	if short.IsZero() || short != short.Round(0) || short.Location() != time.UTC {
		t.Errorf("Next keeps %v", short)
	}
}
