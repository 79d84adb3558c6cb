package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"
)

// readBuild copies what a builder says to log until it is done, and returns the id
// of the image.
func readBuild(r io.Reader, log io.Writer) (id string, err error) {
	var trace trace
	step := ""
	for dec := json.NewDecoder(r); ; {
		var m struct {
			jsonstream.Message
			Old string `json:"error"` // podman leaves errorDetail out
		}
		switch err := dec.Decode(&m); {
		case errors.Is(err, io.EOF) && id != "":
			return id, nil
		case errors.Is(err, io.EOF):
			return "", errors.New("the builder ended without an image")
		case err != nil:
			return "", fmt.Errorf("read the builder's output: %w", err)
		}
		if m.Error != nil {
			m.Old = m.Error.Message
		}
		switch {
		case m.Old != "":
			if trace.failed != "" {
				step = trace.failed
			}
			fmt.Fprintln(log, m.Old)
			return "", &BuildError{Step: step, Saw: strings.TrimSpace(m.Old)}
		case m.ID == "moby.buildkit.trace" && m.Aux != nil:
			if err := trace.tell(*m.Aux, log); err != nil {
				return "", err
			}
		case m.Aux != nil:
			var aux struct{ ID string }
			if json.Unmarshal(*m.Aux, &aux) == nil && aux.ID != "" {
				id = aux.ID
			}
		case m.Stream != "":
			if s := stepLine.FindStringSubmatch(m.Stream); s != nil {
				step = s[1]
			}
			io.WriteString(log, m.Stream) //nolint:errcheck // a log never fails a build
		case m.Status != "" && m.Progress == nil:
			fmt.Fprintln(log, strings.TrimSpace(m.ID+" "+m.Status))
		}
	}
}

// stepLine is how the classic builder and podman begin a step: "Step 3/7 : RUN npm
// ci", "STEP 3/7: RUN npm ci", "[1/2] STEP 3/7: RUN npm ci".
var stepLine = regexp.MustCompile(`(?im)^(?:\[\d+/\d+\] )?step \d+(?:/\d+)? ?: (.*)$`)

var platformArgs = regexp.MustCompile(`\b(?:BUILD|TARGET)(?:PLATFORM|OS|ARCH|VARIANT)\b`)

// asksPlatform reports whether a Dockerfile has arguments that BuildKit sets by itself.
// The classic builder has them empty, and builds something else without a word.
func asksPlatform(dockerfile []byte) bool { return platformArgs.Match(dockerfile) }

// needsBuildKit reports whether the classic builder refused what BuildKit takes:
// by its own words, because the API has no code for it.
func needsBuildKit(err error) bool {
	fault := (*BuildError)(nil)
	return errors.As(err, &fault) && (strings.Contains(fault.Saw, "requires BuildKit") || strings.Contains(strings.ToLower(fault.Saw), "unknown flag"))
}

// refusal returns what an engine said against a Dockerfile before it began to build.
func refusal(err error) (string, bool) {
	// Docker answers a Dockerfile that it cannot parse with 400, podman with 500.
	if errdefs.IsInvalidArgument(err) || strings.Contains(strings.ToLower(err.Error()), "dockerfile") {
		return strings.TrimPrefix(err.Error(), "Error response from daemon: "), true
	}
	return "", false
}

var saidLine = regexp.MustCompile(`(?i)dockerfile(?: parse error)?(?: on)?(?: line)?:? ?(?:line )?(\d+)`)

// locate finds the line of the instruction that failed: the builder's own word for
// it, or the first instruction that reads like the step.
func (e *BuildError) locate(dockerfile []byte) {
	if m := saidLine.FindStringSubmatch(e.Saw); m != nil {
		e.Line, _ = strconv.Atoi(m[1]) // digits by the pattern
	}
	want := squeeze(e.Step)
	lines := bytes.Split(dockerfile, []byte("\n"))
	for i := range lines {
		have := squeeze(instruction(lines[i:]))
		if want != "" && have == want && e.Line == 0 {
			e.Line = i + 1
		}
		if i+1 == e.Line && e.Step == "" {
			e.Step = have
		}
	}
}

// instruction joins the lines of one.
func instruction(lines [][]byte) string {
	var text strings.Builder
	for _, l := range lines {
		l = bytes.TrimSpace(l)
		if bytes.HasPrefix(l, []byte("#")) && text.Len() > 0 {
			continue
		}
		text.Write(bytes.TrimSuffix(l, []byte("\\")))
		text.WriteByte(' ')
		if !bytes.HasSuffix(l, []byte("\\")) {
			break
		}
	}
	return text.String()
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
