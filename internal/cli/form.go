package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/itchyny/gojq"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
)

// The forms of --output, first the default. Wide is text with more in it.
const (
	formText = "text"
	formWide = "wide"
	formJSON = "json"
	formYAML = "yaml"
)

// form is what a call writes its data as.
type form struct {
	output, jq, template string

	query *gojq.Code
	ended func() error // of the call: nil while it goes on
	page  *template.Template
}

// forPrograms reports whether stdout is for a program: data, and nothing beside it.
func (f *form) forPrograms() bool {
	return f.output == formJSON || f.output == formYAML || f.jq != "" || f.template != ""
}

// json reports whether errors are JSON, too: where the whole is.
func (f *form) json() bool { return f.output == formJSON && f.jq == "" && f.template == "" }

func (f *form) wide() bool { return f.output == formWide }

// read checks the flags, before anything is asked of anybody.
func (f *form) read(c *cobra.Command) error {
	f.ended = c.Context().Err
	given := c.Flags().Changed
	switch {
	case !slices.Contains([]string{formText, formWide, formJSON, formYAML}, f.output):
		return usage("--output %s: text, wide, json or yaml", f.output)
	case given("jq") && given("template"):
		return usage("--jq and --template at once\n  help    keep one of them")
	case given("jq") && given("output") && f.output != formJSON:
		return usage("--jq writes JSON, --output %s something else\n  help    leave --output out", f.output)
	case given("template") && given("output"):
		return usage("--template and --output at once\n  help    leave --output out: the template says all that is written")
	case given("jq") && strings.TrimSpace(f.jq) == "":
		return usage("--jq is empty\n  help    --jq . is everything")
	case given("template") && f.template == "":
		return usage("--template is empty\n  help    --template '{{json .}}' is everything")
	}
	if f.jq != "" {
		return f.compile()
	}
	if f.template != "" {
		return f.parse()
	}
	return nil
}

// compile reads the expression of --jq. It sees neither files nor the environment.
func (f *form) compile() error {
	q, err := gojq.Parse(f.jq)
	var wrong *gojq.ParseError
	if errors.As(err, &wrong) {
		at := wrong.Offset - len(wrong.Token)
		return usage("--jq: %v%s", wrong, place(f.jq, at, len(wrong.Token)))
	}
	if err == nil {
		f.query, err = gojq.Compile(q)
	}
	if err != nil {
		return usage("--jq %s: %v", f.jq, err)
	}
	return nil
}

// parse reads the template.
func (f *form) parse() (err error) {
	f.page, err = template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"json": func(v any) (string, error) {
			text, err := json.Marshal(v)
			return string(text), err
		},
		"join": func(by string, of []any) string {
			var all []string
			for _, v := range of {
				all = append(all, fmt.Sprint(v))
			}
			return strings.Join(all, by)
		},
	}).Parse(f.template)
	return f.templateError(err)
}

// templateForm takes line, column and problem off an error of text/template.
var templateForm = regexp.MustCompile(`(?s)^template: :(\d+)(?::(\d+))?: (?:executing "" at (<.*?>): )?(.*)$`)

// templateError says where the template is wrong.
func (f *form) templateError(err error) error {
	if err == nil {
		return nil
	}
	m := templateForm.FindStringSubmatch(err.Error())
	if m == nil {
		return usage("--template: %v", err)
	}
	lines := strings.Split(f.template, "\n")
	line, _ := strconv.Atoi(m[1])
	if line < 1 || line > len(lines) {
		return usage("--template, line %s: %s", m[1], m[4])
	}
	text, at, length := lines[line-1], 0, len(lines[line-1])
	if column, err := strconv.Atoi(m[2]); err == nil && column <= len(text) {
		at, length = column, max(len(m[3])-2, 1)
	}
	if len(lines) > 1 {
		return usage("--template, line %d: %s%s", line, m[4], place(text, at, length))
	}
	return usage("--template: %s%s", m[4], place(text, at, length))
}

// place shows a text with carets below what is wrong in it; of a long one, the part.
func place(text string, at, length int) string {
	const around = 60
	text = strings.NewReplacer("\n", " ", "\t", " ").Replace(text)
	at = min(max(at, 0), len(text))
	end := min(at+max(length, 1), max(len(text), at+1))
	from, to := max(0, at-around), min(len(text), end+around)
	before := strings.ToValidUTF8(text[from:at], "")
	return "\n  where   " + before + strings.ToValidUTF8(text[at:to], "") +
		"\n          " + strings.Repeat(" ", len([]rune(before))) + strings.Repeat("^", min(end-at, around))
}

// write writes v, as one line or document of many where it is one of a stream.
func (f *form) write(w io.Writer, v any, stream bool) error {
	if f.query == nil && f.page == nil && f.output == formJSON {
		e := json.NewEncoder(w)
		if !stream {
			e.SetIndent("", "  ")
		}
		return e.Encode(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if f.query == nil && f.page == nil {
		return writeYAML(w, text, stream)
	}
	var plain any // what it is as JSON: the names are those of -o json
	if err := json.Unmarshal(text, &plain); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if f.query != nil {
		return f.ask(w, plain)
	}
	var page bytes.Buffer
	if err := f.page.Execute(&page, plain); err != nil {
		return f.templateError(err)
	}
	if !bytes.HasSuffix(page.Bytes(), []byte("\n")) {
		page.WriteByte('\n')
	}
	_, err = w.Write(page.Bytes())
	return err
}

// ask writes each answer of --jq on a line: text as it is, everything else as JSON.
func (f *form) ask(w io.Writer, v any) error {
	answers := f.query.Run(v)
	for {
		v, ok := answers.Next()
		if ended := f.ended(); !ok || ended != nil { // an expression may go on for ever
			return ended
		}
		var err error
		switch v := v.(type) {
		case error:
			return f.jqError(v)
		case string:
			_, err = fmt.Fprintln(w, v)
		default:
			var line []byte
			if line, err = gojq.Marshal(v); err == nil {
				_, err = fmt.Fprintf(w, "%s\n", line)
			}
		}
		if err != nil {
			return err
		}
	}
}

// jqError is the error that --jq ended with: its own words where it asked for one, by
// error(…) or halt_error.
func (f *form) jqError(err error) error {
	var asked gojq.ValueError
	var halt *gojq.HaltError
	switch {
	case !errors.As(err, &asked):
		return usage("--jq %s: %v\n  help    leave --jq out, with -o json, to see what it is asked of", f.jq, err)
	case errors.As(err, &halt) && halt.Value() == nil: // halt: it is done
		return nil
	}
	text, ok := asked.Value().(string)
	if !ok {
		line, err := gojq.Marshal(asked.Value())
		if err != nil {
			return fmt.Errorf("write the error of --jq: %w", err)
		}
		text = string(line)
	}
	return usage("--jq: %s", strings.TrimRight(text, "\n"))
}

// writeYAML writes JSON as YAML, its keys in the order that they have.
func writeYAML(w io.Writer, text []byte, stream bool) error {
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil { // JSON is YAML
		return fmt.Errorf("write YAML: %w", err)
	}
	plainStyle(&n)
	if stream {
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return err
		}
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&n); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	return e.Close()
}

// plainStyle takes the braces and quotes off that make JSON of YAML; the encoder
// quotes what would be read as something else.
func plainStyle(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, c := range n.Content {
		plainStyle(c)
	}
}
