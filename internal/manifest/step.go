package manifest

import (
	"errors"
	"fmt"
	"strings"

	"titrate/internal/rollout"
)

// StepError says which part of a step cannot be read.
type StepError struct {
	Offset, Length int // bytes of the step's text
	Message        string
}

// Error returns the message alone.
func (e *StepError) Error() string { return e.Message }

// ParseStep reads a step in its short form: "10%", "10% for 5m", "50% until
// approved", "50% for 5m until approved". Its errors are [StepError]s.
func ParseStep(text string) (rollout.Step, error) {
	var s rollout.Step
	words := fieldsOf(text)
	if len(words) == 0 {
		return s, &StepError{0, len(text), "a step begins with a weight: 10%"}
	}
	// "10 %" is read as "10%".
	if len(words) > 1 && words[1].text == "%" {
		words[0].text += "%"
		words = append(words[:1], words[2:]...)
	}
	number, ok := strings.CutSuffix(words[0].text, "%")
	if !ok {
		message := "a step begins with a weight: 10%"
		if weightPattern.MatchString(number) {
			message = "numbers carry units: " + number + "%"
		}
		return s, words[0].err(message)
	}
	var err error
	if s.Weight, err = parseWeight(number); err != nil {
		return s, words[0].err(err.Error())
	}
	for rest := words[1:]; len(rest) > 0; {
		if len(rest) < 2 {
			return s, rest[0].err(`after the weight stand "for 5m", "until approved", or both`)
		}
		switch word, value := rest[0], rest[1]; {
		case word.text == "for" && s.Hold == 0 && !s.Approve:
			s.Hold, err = ParseDuration(value.text)
			if err == nil && (s.Hold == 0 || s.Hold > maxHold) || errors.Is(err, errTooLong) {
				err = errors.New("is not above 0 and up to 7 days")
			}
			if err != nil {
				return s, value.err(fmt.Sprintf("%q %s", short(value.text), err))
			}
		case word.text == "until" && !s.Approve && value.text == "approved":
			s.Approve = true
		case word.text == "until" && !s.Approve:
			return s, value.err(`"until" is followed by "approved"`)
		default:
			if n := nearest(word.text, []string{"for", "until"}); n != "" && n != word.text {
				return s, word.err(fmt.Sprintf("did you mean %q?", n))
			}
			return s, word.err(`after the weight stand "for 5m", "until approved", or both`)
		}
		rest = rest[2:]
	}
	return s, nil
}

// word is a piece of text between white space.
type word struct {
	text   string
	offset int
}

func (w word) err(message string) error { return &StepError{w.offset, len(w.text), message} }

func fieldsOf(s string) []word {
	var out []word
	at := 0
	for _, f := range strings.Fields(s) {
		at += strings.Index(s[at:], f)
		out = append(out, word{f, at})
		at += len(f)
	}
	return out
}

// FormatStep writes a step in its long form, as the manifest reads it.
func FormatStep(s rollout.Step) string {
	parts := []string{"weight: " + percent(s.Weight)}
	if s.Hold > 0 {
		parts = append(parts, "hold: "+FormatDuration(s.Hold))
	}
	if s.Approve {
		parts = append(parts, "approve: true")
	}
	if s.Hook != "" {
		parts = append(parts, "hook: "+scalar(s.Hook))
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// percent writes a weight as the manifest reads it.
func percent(w rollout.Weight) string { return strings.Replace(w.String(), " ", "", 1) }
