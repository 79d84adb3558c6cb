package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"titrate/client"
	"titrate/internal/rollout"
)

// The event stream's pace; see the event stream format in the HTML standard.
const (
	heartbeat   = 15 * time.Second
	eventsAtOne = 500
)

// events streams what happens, from Last-Event-ID on. Events are stored before
// they are sent, so that a reader who comes back misses none that is still kept;
// one who asks for what is kept no longer is told to reload by "event: reset".
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	after, err := s.eventsAfter(r)
	if err != nil {
		writeProblem(w, s.problem(r.Context(), err))
		return
	}
	reset, err := s.reset(r.Context(), &after)
	if err != nil {
		writeProblem(w, s.problem(r.Context(), err))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	if _, err := fmt.Fprint(w, ": titrate\n\n"); err != nil {
		return
	}
	if reset && writeEvent(w, rollout.Event{ID: after, At: time.Now(), Kind: client.EventReset}) != nil {
		return
	}
	for {
		heard := s.Store.Heard() // before the look, so that nothing falls between
		evs, err := s.Store.Events(r.Context(), after, r.FormValue("app"), eventsAtOne)
		if err != nil {
			return // the stream is cut; the reader comes back
		}
		for _, e := range evs {
			if err := writeEvent(w, e); err != nil {
				return
			}
			after = e.ID
		}
		if rc.Flush() != nil {
			return
		}
		if len(evs) == eventsAtOne {
			continue
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		case <-heard:
		case <-beat.C:
			if _, err := fmt.Fprint(w, ": beat\n\n"); err != nil {
				return
			}
		}
	}
}

// eventsAfter is the id after which to begin: the header's, the query's, or now.
func (s *server) eventsAfter(r *http.Request) (int64, error) {
	for _, text := range []string{r.Header.Get("Last-Event-ID"), r.FormValue("after")} {
		if text == "" {
			continue
		}
		after, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, problem(http.StatusBadRequest, "T0803", fmt.Sprintf("%q is no event's id", text))
		}
		return after, nil
	}
	return s.Store.LastEvent(r.Context())
}

// reset reports whether not all events after an id are kept, or there is no such id
// yet, as when the database is one from before. Then it moves the id to where there
// are.
func (s *server) reset(ctx context.Context, after *int64) (bool, error) {
	first, last, err := s.Store.EventsKept(ctx)
	if err != nil || *after >= first && *after <= last {
		return false, err
	}
	*after = min(max(*after, first), last)
	return true, nil
}

func writeEvent(w http.ResponseWriter, e rollout.Event) error {
	b, err := json.Marshal(wireEvent(e))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, b)
	return err
}

func wireEvent(e rollout.Event) client.Event {
	out := client.Event{
		ID: e.ID, At: e.At, Kind: string(e.Kind), App: e.App, Env: e.Env, Workload: e.Workload,
		Rollout: e.Rollout, Release: int(e.Release),
	}
	if len(e.Data) > 0 {
		// Data is an object by the kind's definition; one that is not stays out.
		_ = json.Unmarshal(e.Data, &out.Data)
	}
	return out
}
