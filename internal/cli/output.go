package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// emit writes v in the form that was asked for; without one, text does.
func (s *session) emit(v any, text func(w io.Writer)) error {
	if s.forPrograms() {
		return s.write(s.Out, v, false)
	}
	text(s.Out)
	return nil
}

// table writes rows in columns.
func table(w io.Writer, rows [][]string) {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(tw, strings.TrimRight(strings.Join(r, "\t"), "\t "))
	}
	tw.Flush()
}

// percent writes a share of 0 to 100 without needless digits.
func percent(p float64) string {
	if p == float64(int(p)) {
		return fmt.Sprintf("%d %%", int(p))
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", p), "0"), ".") + " %"
}

// span writes a duration as a person says it: 41s, 2m19s, 3h05m, 2d.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// glyph is the sign that stands before a word of status, never instead of it.
func glyph(word string) string {
	switch word {
	case "healthy", "promoted", "pass", "ready", "delivered":
		return "✔"
	case "down", "rolled-back", "aborted", "failed", "fail":
		return "✖"
	case "degraded", "unready", "backoff":
		return "▲"
	}
	return "◦"
}

// bar draws the share of the new version's traffic from the left.
func bar(weight float64, width int) string {
	n := int(weight/100*float64(width) + 0.5)
	if weight > 0 && n == 0 {
		n = 1
	}
	return strings.Repeat("█", width-n) + strings.Repeat("▒", n)
}

// emitLine writes v as one of a stream: a line of JSON, a document of YAML.
func (s *session) emitLine(v any) error { return s.write(s.Out, v, true) }
