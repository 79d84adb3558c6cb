package events

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

func TestFailedItems(t *testing.T) {
	t.Parallel()
	ids := []string{"a", "b"}
	for _, c := range []struct {
		answer string
		want   []string
	}{
		{``, nil},
		{`null`, nil},
		{`{}`, nil},
		{`"done"`, nil},
		{`[1]`, nil},
		{`{"statusCode":200}`, nil},
		{`{"batchItemFailures":null}`, nil},
		{`{"batchItemFailures":[]}`, nil},
		{`{"batchitemfailures":[{"itemIdentifier":"a"}]}`, nil},
		{`{"batchItemFailures":[{"itemIdentifier":"b"}]}`, []string{"b"}},
		{` {"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b","more":1}]} `, []string{"b"}},
		{`{"batchItemFailures":[{"itemIdentifier":""}]}`, ids},
		{`{"batchItemFailures":[{"itemIdentifier":null}]}`, ids},
		{`{"batchItemFailures":[{"itemIdentifier":7}]}`, ids},
		{`{"batchItemFailures":[{"ItemIdentifier":"a"}]}`, ids},
		{`{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"c"}]}`, ids},
		{`{"batchItemFailures":[null]}`, ids},
		{`{"batchItemFailures":"a"}`, ids},
		{`{"batchItemFailures":[`, ids},
		{`nothing`, ids},
	} {
		if got := slices.Sorted(maps.Keys(failedItems([]byte(c.answer), ids))); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", c.answer, got, c.want)
		}
	}
}

// FuzzFailedItems shows that no answer names a message that was not in the batch, and
// that what is no JSON fails all.
func FuzzFailedItems(f *testing.F) {
	for _, s := range []string{``, `null`, `{"batchItemFailures":[{"itemIdentifier":"a"}]}`, `{"batchItemFailures":[{"itemIdentifier":"x"}]}`, `[`, `{"batchItemFailures":{}}`} {
		f.Add([]byte(s))
	}
	ids := []string{"a", "b", "c"}
	f.Fuzz(func(t *testing.T, answer []byte) {
		failed := failedItems(answer, ids)
		for id := range failed {
			if !slices.Contains(ids, id) {
				t.Fatalf("%q is none of the batch", id)
			}
		}
		if !json.Valid(answer) && len(failed) != len(ids) && len(failed) != 0 {
			t.Fatalf("%q is no JSON and fails %v", answer, failed)
		}
	})
}

func TestWhy_aFailureByAnswerIsNamed(t *testing.T) {
	t.Parallel()
	for want, by := range map[string]Delivered{
		"timeout: Task timed out after 2.00 seconds": {Failure: "timeout", Message: "Task timed out after 2.00 seconds"},
		"exit":           {Failure: "exit"},
		"it answers 500": {Failed: true, Message: "it answers 500"},
		"its answer names them in batchItemFailures, or is no JSON": {Answer: []byte(`{"batchItemFailures":[]}`)},
	} {
		if got := why(by); got != want {
			t.Errorf("%+v: %q, not %q", by, got, want)
		}
	}
}
