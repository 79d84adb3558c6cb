package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/client"
)

// Logs tells what a container has written since a time (zero: since it began), and
// what it writes until it ends, a piece at a time with when the engine read it. It
// returns nil when the container has ended and all is told.
func (e *Engine) Logs(ctx context.Context, id string, since time.Time, tell func(stream string, at time.Time, text []byte) error) error {
	opts := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true, Timestamps: true}
	if !since.IsZero() {
		opts.Since = since.UTC().Format(time.RFC3339Nano)
	}
	r, err := e.api.ContainerLogs(ctx, id, opts)
	if err != nil {
		return e.failed("read the logs of a container", err)
	}
	defer r.Close()
	return readFrames(r, tell)
}

// frameMost bounds a frame: the engine's own are some 16 KiB.
const frameMost = 4 << 20

// readFrames reads the engine's stream of both outputs: frames of a byte for the
// stream, three of nothing and four for the length, then a time and the text.
// See "Stream format" of ContainerAttach in the engine's API.
func readFrames(r io.Reader, tell func(stream string, at time.Time, text []byte) error) error {
	var head [8]byte
	for {
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the logs of a container: %w", err)
		}
		n := binary.BigEndian.Uint32(head[4:])
		if n > frameMost {
			return fmt.Errorf("read the logs of a container: a frame of %d bytes", n)
		}
		text := make([]byte, n)
		if _, err := io.ReadFull(r, text); err != nil {
			return fmt.Errorf("read the logs of a container: %w", err)
		}
		stream := "stdout"
		if head[0] == 2 {
			stream = "stderr"
		}
		var at time.Time
		if stamp, rest, ok := bytes.Cut(text, []byte{' '}); ok {
			if t, err := time.Parse(time.RFC3339Nano, string(stamp)); err == nil {
				at, text = t, rest
			}
		}
		if err := tell(stream, at, text); err != nil {
			return err
		}
	}
}
