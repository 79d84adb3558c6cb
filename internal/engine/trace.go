package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"

	"google.golang.org/protobuf/encoding/protowire"
)

// trace reads what BuildKit says: each "moby.buildkit.trace" is a message
// StatusResponse of moby.buildkit.v1 (api/services/control/control.proto of
// github.com/moby/buildkit), of which vertexes are steps and logs their output.
// Read field by field: the library would bring gRPC along.
type trace struct {
	told   map[string]bool // steps that were named, by digest
	failed string          // the step that failed
}

// Field numbers of control.proto.
const (
	responseVertexes, responseLogs             = 1, 3
	vertexDigest, vertexName, vertexCached     = 1, 3, 4
	vertexStarted, vertexFail, vertexLogOutput = 5, 7, 4
)

// stepName is a vertex of a Dockerfile: "[build 3/7] RUN npm ci".
var stepName = regexp.MustCompile(`^\[[^\]]*\] (.*)$`)

func (t *trace) tell(aux json.RawMessage, log io.Writer) error {
	var message []byte
	if err := json.Unmarshal(aux, &message); err != nil {
		return fmt.Errorf("read BuildKit's output: %w", err)
	}
	return fields(message, func(n protowire.Number, v []byte) error {
		switch n {
		case responseVertexes:
			return t.vertex(v, log)
		case responseLogs:
			return fields(v, func(n protowire.Number, v []byte) error {
				if n == vertexLogOutput {
					log.Write(v) //nolint:errcheck // a log never fails a build
				}
				return nil
			})
		default:
			return nil
		}
	})
}

func (t *trace) vertex(b []byte, log io.Writer) error {
	var digest, name, failure string
	var started, cached bool
	err := fields(b, func(n protowire.Number, v []byte) error {
		switch n {
		case vertexDigest:
			digest = string(v)
		case vertexName:
			name = string(v)
		case vertexFail:
			failure = string(v)
		case vertexStarted:
			started = true
		case vertexCached:
			cached = true
		default: // of no use here
		}
		return nil
	})
	if err != nil {
		return err
	}
	if t.told == nil {
		t.told = map[string]bool{}
	}
	if started && !t.told[digest] {
		t.told[digest] = true
		fmt.Fprintln(log, "=> "+name)
		if cached {
			fmt.Fprintln(log, "cached")
		}
	}
	if m := stepName.FindStringSubmatch(name); failure != "" && m != nil && t.failed == "" {
		t.failed = m[1]
	}
	return nil
}

// fields calls each for every field of a message; v is nil of a number.
func fields(b []byte, each func(n protowire.Number, v []byte) error) error {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return fmt.Errorf("read BuildKit's output: %w", protowire.ParseError(size))
		}
		b = b[size:]
		var v []byte
		if typ == protowire.BytesType {
			v, size = protowire.ConsumeBytes(b)
		} else {
			size = protowire.ConsumeFieldValue(n, typ, b)
		}
		if size < 0 {
			return fmt.Errorf("read BuildKit's output: %w", protowire.ParseError(size))
		}
		b = b[size:]
		if err := each(n, v); err != nil {
			return err
		}
	}
	return nil
}
