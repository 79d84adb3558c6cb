package events

import (
	"bytes"
	"encoding/json"
)

// failedItems reads which messages of a batch an answer says to have failed, of those
// whose ids are given: its batchItemFailures. All have failed when the answer is no JSON,
// and when an item names no message of the batch: that cannot be acted on, and nothing
// may be lost. An answer that has no such list says that none failed. Source: "Handling
// errors for an SQS event source in Lambda", "Success and failure conditions".
func failedItems(answer []byte, ids []string) map[string]bool {
	all := map[string]bool{}
	for _, id := range ids {
		all[id] = true
	}
	if answer = bytes.TrimSpace(answer); len(answer) == 0 {
		return nil
	}
	if !json.Valid(answer) {
		return all
	}
	// Read as maps: the names of fields are matched to the letter.
	var fields map[string]json.RawMessage
	if answer[0] != '{' || json.Unmarshal(answer, &fields) != nil {
		return nil
	}
	list, some := fields["batchItemFailures"]
	if !some || string(list) == "null" {
		return nil
	}
	var items []map[string]json.RawMessage
	if json.Unmarshal(list, &items) != nil {
		return all
	}
	failed := map[string]bool{}
	for _, item := range items {
		var id string
		if json.Unmarshal(item["itemIdentifier"], &id) != nil || !all[id] {
			return all
		}
		failed[id] = true
	}
	return failed
}

// why says for people how a call failed messages: as its failure, or by its answer.
func why(by Delivered) string {
	switch {
	case by.Failure != "" && by.Message != "":
		return string(by.Failure) + ": " + by.Message
	case by.Failure != "":
		return string(by.Failure)
	case by.Message != "":
		return by.Message
	}
	return "its answer names them in batchItemFailures, or is no JSON"
}
