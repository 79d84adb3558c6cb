// Package stagetest plays the platform for tests of the functions: a real ledger over
// HTTP, and queues, topics and routes in memory. It delivers every event at least once,
// and some of them twice.
package stagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/examples/collect/functions"
	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/bus"
	"titrate/examples/collect/internal/fn"
	"titrate/examples/collect/internal/ledger"
	"titrate/internal/httpevent"
)

// Token opens the queues and topics.
const Token = "token-of-the-stage"

// Queues says which function each queue calls, and Topics which each topic does.
func Queues() map[string]string {
	return map[string]string{
		"quotes": "on/quote", "holds": "on/hold", "scheduling": "on/schedule", "assignments": "on/assign", "collections": "on/collect",
		"captures": "on/capture", "refunds": "on/refund", "deliveries": "on/deliver", "dead": "on/give-up",
	}
}

// Topics says which functions each topic calls.
func Topics() map[string][]string {
	return map[string][]string{
		"pickups": {"notify/dashboard", "notify/email", "notify/sms"}, "payments": {"notify/accounting", "notify/receipt"},
		"drivers": {"notify/driver"}, "facilities": {"notify/facility"},
	}
}

// Stage is one platform.
type Stage struct {
	App   *app.App
	Store *ledger.Store
	// Call does an event of a function. It is the function's handler at first, and may be
	// replaced before the first event.
	Call func(ctx context.Context, folder string, event []byte) ([]byte, error)

	t      *testing.T
	Ledger *httptest.Server
	Bus    *httptest.Server
	Front  *httptest.Server // where customers are served, and the ledger below /ledger
	router *httpevent.Router

	mu      sync.Mutex
	random  *rand.Rand
	waiting []event
	seq     int
}

// event waits to be delivered.
type event struct {
	folder, id, text string
	topic            bool
	tries            int
}

// mostTries is how often an event is delivered before it is a dead letter.
const mostTries = 5

// New starts a stage whose ledger is in a folder of the test.
func New(t *testing.T) *Stage {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := ledger.OpenStore(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s := &Stage{t: t, Store: store, random: rand.New(rand.NewPCG(1, 2))}
	book := ledger.Handler(store, log)
	s.Ledger = httptest.NewServer(book)
	s.Bus = httptest.NewServer(http.HandlerFunc(s.bus))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	s.App = &app.App{
		Ledger: ledger.Client{URL: s.Ledger.URL, HTTP: client}, Bus: bus.Bus{Queues: s.Bus.URL, Topics: s.Bus.URL, Token: Token, Client: client},
		Now: time.Now, Log: log,
	}
	all := functions.All(s.App)
	s.Call = func(ctx context.Context, folder string, event []byte) ([]byte, error) {
		h, ok := all[folder]
		if !ok {
			return nil, fmt.Errorf("there is no function %s", folder)
		}
		return h(ctx, event)
	}
	s.router = routes(t, all)
	front := http.NewServeMux()
	front.Handle("/ledger/", book)
	front.HandleFunc("/", s.front)
	s.Front = httptest.NewServer(front)
	t.Cleanup(func() {
		s.Front.Close()
		s.Bus.Close()
		s.Ledger.Close()
		client.CloseIdleConnections()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func routes(t *testing.T, all map[string]fn.Handler) *httpevent.Router {
	t.Helper()
	list := []httpevent.Route{{Key: "GET /pickups/{id}", Function: "one/pickup", Place: "one/pickup"}}
	for folder := range all {
		if strings.HasPrefix(folder, "api/") {
			key, err := httpevent.ByPath("api", folder)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, httpevent.Route{Key: key, Function: folder, Place: folder})
		}
	}
	router, err := httpevent.NewRouter(list)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// front calls the function of a request.
func (s *Stage) front(w http.ResponseWriter, r *http.Request) {
	match, ok := s.router.Match(r.Method, r.URL.EscapedPath())
	if !ok {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	payload, err := httpevent.Payload2(httpevent.Call{Request: r, Body: body, Match: match, RequestID: "r", SourceIP: "127.0.0.1", Now: time.Now()})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	said, err := s.Call(r.Context(), match.Function, payload)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	answer, err := httpevent.ParseAnswer2(said)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body)
}

// bus takes messages by the protocols of SQS and SNS.
func (s *Stage) bus(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Authorization") != "Bearer "+Token {
		http.Error(w, "not allowed", http.StatusForbidden)
		return
	}
	if r.Header.Get("X-Amz-Target") == "AmazonSQS.SendMessage" && r.Header.Get("Content-Type") == "application/x-amz-json-1.0" {
		var m struct{ QueueUrl, MessageBody string } //nolint:revive // as SQS names it
		if json.Unmarshal(body, &m) != nil || !s.Send(path.Base(m.QueueUrl), m.MessageBody) {
			http.Error(w, "AWS.SimpleQueueService.NonExistentQueue", http.StatusBadRequest)
		}
		return
	}
	form, err := url.ParseQuery(string(body))
	_, topic, ok := strings.Cut(form.Get("TopicArn"), "arn:aws:sns:local:000000000000:")
	subscribers := Topics()[topic]
	if err != nil || !ok || form.Get("Action") != "Publish" || subscribers == nil {
		http.Error(w, "NotFound", http.StatusNotFound)
		return
	}
	for _, folder := range subscribers {
		s.put(event{folder: folder, text: form.Get("Message"), topic: true})
	}
}

// Send puts a message into a queue, and reports whether there is one of that name.
func (s *Stage) Send(queue, message string) bool {
	folder, ok := Queues()[queue]
	if ok {
		s.put(event{folder: folder, text: message})
	}
	return ok
}

// put has an event wait; one in four twice.
func (s *Stage) put(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	e.id = fmt.Sprintf("m-%d", s.seq)
	s.waiting = append(s.waiting, e)
	if s.random.IntN(4) == 0 {
		s.waiting = append(s.waiting, e)
	}
}

// take returns an event that waits: any of the first few, so that order cannot be relied
// on.
func (s *Stage) take() (event, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return event{}, false
	}
	i := s.random.IntN(min(4, len(s.waiting)))
	e := s.waiting[i]
	s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
	return e, true
}

// workers is how many events are delivered at the same time.
const workers = 16

// Settle delivers until nothing waits any more, and returns the errors of deliveries.
func (s *Stage) Settle(ctx context.Context) []error {
	var failed []error
	for ctx.Err() == nil {
		var round sync.WaitGroup
		errs := make(chan error, workers)
		for range workers {
			e, ok := s.take()
			if !ok {
				break
			}
			round.Go(func() { errs <- s.try(ctx, e) })
		}
		round.Wait()
		close(errs)
		n := len(errs)
		for err := range errs {
			if err != nil {
				failed = append(failed, err)
			}
		}
		if n == 0 {
			break
		}
	}
	return failed
}

// try delivers an event. One that fails waits again; tried too often, what a queue had
// becomes a dead letter.
func (s *Stage) try(ctx context.Context, e event) error {
	err := s.deliver(ctx, e)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", e.folder, err)
	e.tries++
	if e.tries == mostTries && !e.topic && e.folder != "on/give-up" {
		e.folder, e.tries = "on/give-up", 0
	}
	if e.tries < mostTries {
		s.mu.Lock()
		s.waiting = append(s.waiting, e)
		s.mu.Unlock()
	}
	return err
}

// deliver calls the function of an event.
func (s *Stage) deliver(ctx context.Context, e event) error {
	answer, err := s.Call(ctx, e.folder, e.payload())
	if err != nil || e.topic {
		return err
	}
	var undone struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(answer, &undone); err != nil {
		return err
	}
	if len(undone.Failures) > 0 {
		return fmt.Errorf("%s came back", undone.Failures[0].ID)
	}
	return nil
}

// payload is the event as Lambda has it.
func (e event) payload() []byte {
	record := map[string]any{"messageId": e.id, "body": e.text, "eventSource": "aws:sqs"}
	if e.topic {
		record = map[string]any{"EventSource": "aws:sns", "Sns": map[string]any{"MessageId": e.id, "Message": e.text}}
	}
	b, err := json.Marshal(map[string]any{"Records": []any{record}})
	if err != nil {
		panic(err) // texts always can be written
	}
	return b
}

// Summary is the ledger in figures.
func (s *Stage) Summary() ledger.Summary {
	s.t.Helper()
	sum, err := s.Store.Summary()
	if err != nil {
		s.t.Fatal(err)
	}
	return sum
}

// Find lists pickups of the ledger.
func (s *Stage) Find(q ledger.Query) []ledger.Pickup {
	s.t.Helper()
	all, err := s.Store.Find(q)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// Tick is the event of a timer.
func Tick(at time.Time) []byte {
	return []byte(`{"version":"0","detail-type":"Scheduled Event","source":"aws.events","time":"` + at.UTC().Format(time.RFC3339) + `","detail":{}}`)
}
