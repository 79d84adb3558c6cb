package load

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"

	"titrate/examples/collect/internal/app"
)

// step is one request.
type step struct {
	name    string // method and route
	method  string
	path    string
	body    any
	key     string // Idempotency-Key
	twice   bool   // sent twice at the same time: a customer who clicks again
	again   bool   // sent before, and not answered as it should be
	tries   int
	expects int
}

// mostTries is how often a customer asks for the same thing.
const mostTries = 5

// street is where the customers are: what they have asked for, and what they try again.
type street struct {
	mu    sync.Mutex
	ids   []string
	retry []step
	seq   int
}

func (s *street) has(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ids) < 1000 {
		s.ids = append(s.ids, id)
		return
	}
	s.ids[s.seq%len(s.ids)] = id
}

func (s *street) repeat(st step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.tries++
	st.twice, st.again = false, true
	if st.tries < mostTries {
		s.retry = append(s.retry, st)
	}
}

// next plans a request: mostly a new pickup, else a look at what there is.
func (s *street) next(r *rand.Rand, run string) step {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.retry) > 0 {
		st := s.retry[0]
		s.retry = s.retry[1:]
		return st
	}
	s.seq++
	customer := fmt.Sprintf("c-%03d", r.IntN(200))
	id := ""
	if len(s.ids) > 0 {
		id = s.ids[r.IntN(len(s.ids))]
	}
	switch n := r.IntN(20); {
	case n < 9 || id == "":
		card := app.Pays
		if r.IntN(12) == 0 {
			card = app.Declined
		}
		areas := []string{"salmiya", "hawalli", "jahra", "fintas", "mishref"}
		return step{
			name: "POST /pickups", method: http.MethodPost, path: "/pickups", key: fmt.Sprintf("%s-%d", run, s.seq), twice: r.IntN(20) == 0, expects: http.StatusAccepted,
			body: map[string]string{"customer": customer, "item": app.Items()[r.IntN(10)], "area": areas[r.IntN(len(areas))], "card": card},
		}
	case n < 10:
		return step{name: "POST /cancellations", method: http.MethodPost, path: "/cancellations", body: map[string]string{"pickup": id}, expects: http.StatusOK}
	case n < 11:
		return step{name: "POST /quotes", method: http.MethodPost, path: "/quotes", body: map[string]any{"items": []string{"sofa", "desk"}}, expects: http.StatusOK}
	case n < 13:
		return get("/pickups/{id}", "/pickups/"+id)
	}
	looks := []step{
		get("/pickups", "/pickups?customer="+customer), get("/prices", "/prices"), get("/slots", "/slots"), get("/drivers", "/drivers"),
		get("/drivers/route", "/drivers/route?driver="+app.DriverNames()[r.IntN(6)]), get("/facilities", "/facilities"),
		get("/facilities/inventory", "/facilities/inventory"), get("/payments", "/payments"), get("/reports", "/reports"), get("/summary", "/summary"),
	}
	return looks[r.IntN(len(looks))]
}

func get(route, path string) step {
	return step{name: "GET " + route, method: http.MethodGet, path: path, expects: http.StatusOK}
}
