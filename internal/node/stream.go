package node

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"titrate/internal/rollout"
)

// An answer that is passed on as it comes has the version that gives it in a header, and a
// body of pieces: each is its length in four bytes, the highest first, and that many bytes.
// After a length of zero comes a [streamEnd], in JSON. A call that began no answer has an
// [Invoked], or an error, as one of /v1/invoke has.
const (
	streamVersion = "Titrate-Version"
	maxPiece      = 1 << 20
)

// streamEnd is how a call went whose answer had begun.
type streamEnd struct {
	Invoked Invoked `json:"invoked"`
	Error   string  `json:"error,omitempty"`
	Kind    string  `json:"kind,omitempty"` // as in [errorNames]
}

// handleStream has a function called, and passes its answer on as it comes.
func handleStream(m Machine) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in Invocation
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCall)).Decode(&in); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Errorf("read what is asked: %w: %w", ErrEvent, err))
			return
		}
		pieces := pieceWriter{w}
		begun := false
		in.To = func(v rollout.Version) io.Writer {
			begun = true
			w.Header().Set(streamVersion, strconv.Itoa(int(v)))
			w.Header().Set("Content-Type", "application/octet-stream")
			return pieces
		}
		out, err := m.Invoke(r.Context(), in)
		if !begun {
			answerOr(w, out, err)
			return
		}
		end := streamEnd{Invoked: out}
		if err != nil {
			end.Error, end.Kind = err.Error(), nameOf(err)
		}
		if b, err := json.Marshal(end); err == nil {
			_, _ = w.Write(append(make([]byte, 4), b...)) // whoever went away learns nothing
		}
	}
}

// pieceWriter sends each piece at once.
type pieceWriter struct{ w http.ResponseWriter }

func (p pieceWriter) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		piece := b[:min(len(b), maxPiece)]
		if _, err = p.w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(piece)))); err != nil {
			return n, err
		}
		done, err := p.w.Write(piece)
		if n += done; err != nil {
			return n, err
		}
		b = b[len(piece):]
	}
	return n, http.NewResponseController(p.w).Flush()
}

// stream is [Client.Invoke] of an answer that is passed on.
func (c *Client) stream(ctx context.Context, i Invocation) (Invoked, error) {
	body, err := json.Marshal(i)
	if err != nil {
		return Invoked{}, fmt.Errorf("write what is asked: %w", err)
	}
	resp, err := c.do(context.WithValue(ctx, patienceKey{}, dialFor), http.MethodPost, "/v1/invoke/stream", body)
	if err != nil {
		return Invoked{}, err
	}
	defer resp.Body.Close()
	version := resp.Header.Get(streamVersion)
	if version == "" {
		var out Invoked
		return out, json.NewDecoder(resp.Body).Decode(&out)
	}
	v, err := strconv.Atoi(version)
	if err != nil {
		return Invoked{}, fmt.Errorf("the node names no version of the answer: %w", err)
	}
	return readPieces(resp.Body, i.To(rollout.Version(v)))
}

// readPieces writes to to what comes, until its end.
func readPieces(from io.Reader, to io.Writer) (Invoked, error) {
	in := bufio.NewReader(from)
	var piece []byte
	for {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return Invoked{}, fmt.Errorf("the answer broke off: %w", err)
		}
		n := binary.BigEndian.Uint32(head[:])
		switch {
		case n == 0:
			var end streamEnd
			if err := json.NewDecoder(in).Decode(&end); err != nil {
				return Invoked{}, fmt.Errorf("the answer broke off: %w", err)
			}
			if end.Error == "" {
				return end.Invoked, nil
			}
			if is := errorNames[end.Kind]; is != nil {
				return end.Invoked, &sentError{end.Error, is}
			}
			return end.Invoked, errors.New(end.Error)
		case n > maxPiece:
			return Invoked{}, fmt.Errorf("the node sends a piece of %d bytes", n)
		}
		if int(n) > cap(piece) {
			piece = make([]byte, n)
		}
		piece = piece[:n]
		if _, err := io.ReadFull(in, piece); err != nil {
			return Invoked{}, fmt.Errorf("the answer broke off: %w", err)
		}
		if _, err := to.Write(piece); err != nil {
			return Invoked{}, err
		}
	}
}
