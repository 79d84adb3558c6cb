package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"titrate/client"
	"titrate/internal/rollout"
)

// builds answers with what the newest build of an app printed, or the newest that
// failed: its kept logs, one WORKLOAD.STEP.log each.
func (s *server) builds(w http.ResponseWriter, r *http.Request) {
	app := r.PathValue("app")
	push, err := s.built(r, app)
	if err != nil {
		writeProblem(w, s.problem(r.Context(), err))
		return
	}
	paths, err := s.BuildLogs(app, push.ID)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		writeProblem(w, s.problem(r.Context(), err))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	out := json.NewEncoder(w)
	for _, path := range paths {
		workload, step, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".log"), ".")
		line := client.LogLine{At: push.At, Workload: workload, Instance: fmt.Sprintf("push-%d", push.ID), Stream: step}
		if !printed(path, func(text string) bool { line.Text = text; return out.Encode(line) == nil }) {
			return // the caller is gone
		}
	}
}

// built is the push whose build is meant.
func (s *server) built(r *http.Request, app string) (rollout.Push, error) {
	pushes, err := s.Store.Pushes(r.Context(), app, recentPushes)
	if err != nil {
		return rollout.Push{}, err
	}
	if len(pushes) == 0 {
		_, err := s.app(r.Context(), app)
		if err == nil {
			err = problem(http.StatusNotFound, "T0802", app+" has not been built yet")
		}
		return rollout.Push{}, err
	}
	if r.FormValue("failed") != "true" {
		return pushes[0], nil
	}
	for _, p := range pushes {
		if p.Stage == rollout.PushFailed {
			return p, nil
		}
	}
	return rollout.Push{}, problem(http.StatusNotFound, "T0802", "no build of "+app+" has failed lately")
}

// maxBuildLine bounds a line of a build's log; what is longer is cut up.
const maxBuildLine = 64 << 10

// printed yields the lines of a file until yield returns false. A log that is gone
// by now, as old ones go, has none.
func printed(path string, yield func(text string) bool) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxBuildLine)
	for {
		b, err := in.ReadSlice('\n')
		if len(b) > 0 && !yield(strings.TrimRight(string(b), "\n")) {
			return false
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return true
		}
	}
}
