package cofe

import (
	"fmt"
	"strings"
)

// Variant is a state of the repository: one commit.
type Variant string

// The variants. Each but V1 and V2 is V2 with one change.
const (
	V1           Variant = "v1"            // the marketplace
	V2           Variant = "v2"            // good: the store can be searched
	V3Errors     Variant = "v3-errors"     // most checkouts fail: assignment to entry in nil map
	Latency      Variant = "latency"       // listing waits for a lock that is held over a slow call
	Crash        Variant = "crash"         // the store's process dies after some time under load
	NeverHealthy Variant = "never-healthy" // the store listens on another port than it is given
	Config       Variant = "config"        // only the store's environment changes
)

// Variants lists all variants.
func Variants() []Variant {
	return []Variant{V1, V2, V3Errors, Latency, Crash, NeverHealthy, Config}
}

// Subject returns the message of the variant's commit.
func (v Variant) Subject() string {
	if v == V1 {
		return "cofe: open the marketplace"
	}
	text, err := v.text()
	if err != nil {
		return string(v)
	}
	subject, _, _ := strings.Cut(text, "\n")
	return subject
}

// text returns the file of the variant's own edits.
func (v Variant) text() (string, error) {
	text, err := extras.ReadFile("variants/" + string(v) + ".edit")
	if err != nil {
		return "", fmt.Errorf("unknown variant %q", v)
	}
	return string(text), nil
}

// edits returns what turns V1 into v.
func (v Variant) edits() ([]edit, error) {
	var all []edit
	if v == V1 {
		return nil, nil
	}
	chain := []Variant{V2, v}
	if v == V2 {
		chain = chain[:1]
	}
	for _, part := range chain {
		text, err := part.text()
		if err != nil {
			return nil, err
		}
		edits, err := parseEdits(text)
		if err != nil {
			return nil, fmt.Errorf("variant %s: %w", part, err)
		}
		all = append(all, edits...)
	}
	return all, nil
}

// edit replaces old, which stands once in a file, by new; without old it makes
// the file.
type edit struct{ file, old, new string }

func (e edit) apply(files map[string]string) error {
	content, there := files[e.file]
	switch {
	case e.old == "" && there:
		return fmt.Errorf("%s is there already", e.file)
	case e.old == "":
		files[e.file] = e.new
	case strings.Count(content, e.old) != 1:
		return fmt.Errorf("%s has this %d times, not once: %q", e.file, strings.Count(content, e.old), e.old)
	default:
		files[e.file] = strings.Replace(content, e.old, e.new, 1)
	}
	return nil
}

// The lines that divide an edit file. Its first line is the commit's message;
// then follow files, each either whole or as replacements.
const (
	markOld = "<<<<<<<"
	markNew = "======="
	markEnd = ">>>>>>>"
)

// parseEdits reads an edit file.
func parseEdits(text string) ([]edit, error) {
	var all []edit
	_, rest, _ := strings.Cut(text, "\n")
	for section := range strings.SplitSeq("\n"+strings.TrimLeft(rest, "\n"), "\n-- ") {
		head, body, ok := strings.Cut(section, " --\n")
		if !ok {
			if strings.TrimSpace(section) != "" {
				return nil, fmt.Errorf("expected -- FILE --, found %q", section)
			}
			continue
		}
		if !strings.HasPrefix(body, markOld+"\n") {
			all = append(all, edit{file: head, new: strings.TrimRight(body, "\n") + "\n"})
			continue
		}
		for part := range strings.SplitSeq(strings.TrimRight(body, "\n")+"\n", markEnd+"\n") {
			if strings.TrimSpace(part) == "" {
				continue
			}
			old, after, ok := strings.Cut(strings.TrimPrefix(strings.TrimLeft(part, "\n"), markOld+"\n"), markNew+"\n")
			if !ok || old == "" {
				return nil, fmt.Errorf("%s: a replacement has no %s", head, markNew)
			}
			all = append(all, edit{file: head, old: old, new: after})
		}
	}
	return all, nil
}
