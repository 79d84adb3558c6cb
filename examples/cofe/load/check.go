package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// CheckConfig says where to look.
type CheckConfig struct {
	// URLs has the address of each service by name (orders, credits, giftcards,
	// payments, rewards), or of a gateway that routes /orders, /credits and so
	// on to them.
	URLs map[string]string
	// Host is sent as the Host header where it is not empty.
	Host string
	// Patience is how long orders may take to come to an end; 0: 30 s.
	Patience time.Duration
	// InLog tells whether any service's log has a request id; nil: not checked.
	InLog func(id string) bool
	// Fresh says that the data began with this run: every order there is must
	// be one of its.
	Fresh bool
}

// Verdict is what the check found.
type Verdict struct {
	OK        bool          `json:"ok"`
	Problems  []string      `json:"problems,omitempty"` // sentences; the first 100
	Orders    int           `json:"orders"`
	Confirmed int           `json:"confirmed"`
	Rejected  int           `json:"rejected"`
	Open      int           `json:"open"` // came to no end in time
	Entries   int64         `json:"entries"`
	Lost      []Failure     `json:"lost,omitempty"` // failures whose request id is in no log: dropped on the way
	Took      time.Duration `json:"took"`
}

// AllAt returns CheckConfig.URLs for one gateway in front of all services.
func AllAt(gateway string) map[string]string {
	urls := map[string]string{}
	for _, name := range []string{"orders", "credits", "giftcards", "payments", "rewards"} {
		urls[name] = gateway
	}
	return urls
}

// Check waits until every order has come to an end and every event has been
// kept, and then adds everything up: each ledger sums to zero, no customer's
// balance is negative, each key has one order, and each order's parts are all
// there (confirmed) or all gone (rejected). It returns an error when it cannot
// look; what it sees is in the verdict.
func Check(ctx context.Context, r *Report, c CheckConfig) (Verdict, error) {
	began := time.Now()
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
	k := &checker{CheckConfig: c, client: &http.Client{Timeout: 15 * time.Second}}
	defer k.client.CloseIdleConnections()
	orders, err := k.settled(ctx)
	if err != nil {
		return k.verdict, err
	}
	effects := map[string]map[string]effect{}
	for _, name := range []string{"credits", "giftcards", "payments", "rewards"} {
		if effects[name], err = k.effects(ctx, name); err != nil {
			return k.verdict, err
		}
	}
	k.keys(r, orders)
	for _, o := range orders {
		k.order(o, effects)
	}
	known := map[string]bool{}
	for _, o := range orders {
		known[o.ID] = true
	}
	for name, all := range effects {
		for id, e := range all {
			if !known[id] && e.State != "undone" {
				k.problem("%s has an effect of order %s, which does not exist", name, id)
			}
		}
	}
	if c.InLog != nil && r != nil {
		for _, f := range r.Failures {
			if !c.InLog(f.ID) {
				k.verdict.Lost = append(k.verdict.Lost, f)
			}
		}
		if n := len(k.verdict.Lost); n > 0 {
			k.problem("%d failed requests are in no service's log", n)
		}
	}
	k.verdict.OK = len(k.verdict.Problems) == 0
	k.verdict.Took = time.Since(began)
	return k.verdict, nil
}

// checker collects what is wrong.
type checker struct {
	CheckConfig
	client  *http.Client
	verdict Verdict
}

func (k *checker) problem(format string, args ...any) {
	if len(k.verdict.Problems) < 100 {
		k.verdict.Problems = append(k.verdict.Problems, fmt.Sprintf(format, args...))
	}
}

// order is one line of the orders service's audit.
type order struct {
	ID       string `json:"id"`
	Key      string `json:"key"`
	Currency string `json:"currency"`
	Total    int64  `json:"total"`
	Credits  int64  `json:"credits"`
	Gift     int64  `json:"gift"`
	Card     int64  `json:"card"`
	State    string `json:"state"`
}

func (o order) over() bool { return o.State == "confirmed" || o.State == "rejected" }

// effect is one line of a participant's audit.
type effect struct {
	Order  string `json:"order"`
	State  string `json:"state"`
	Amount struct {
		Minor    int64  `json:"minor"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

// settled waits until nothing is under way any more, and returns all orders.
func (k *checker) settled(ctx context.Context) ([]order, error) {
	deadline := time.Now().Add(k.Patience)
	for {
		orders, err := k.orders(ctx)
		if err != nil {
			return nil, err
		}
		open := 0
		for _, o := range orders {
			if !o.over() {
				open++
			}
		}
		late, err := k.undelivered(ctx)
		if err != nil {
			return nil, err
		}
		if open == 0 && len(late) == 0 {
			return orders, nil
		}
		if time.Now().After(deadline) {
			if open > 0 {
				k.problem("%d orders came to no end in %s", open, k.Patience)
			}
			k.verdict.Open = open
			for _, l := range late {
				k.problem("%s", l)
			}
			return orders, nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// undelivered lists the consumers that have not kept all events of a source.
func (k *checker) undelivered(ctx context.Context) ([]string, error) {
	var late []string
	for source, consumers := range map[string][]string{"orders": {"credits", "notifications"}, "payments": {"notifications"}, "rewards": {"notifications"}} {
		var status struct {
			Head      int64
			Consumers map[string]int64
		}
		if err := k.get(ctx, source, "/"+source+"/outbox/status", &status); err != nil {
			return nil, err
		}
		for _, c := range consumers {
			if status.Consumers[c] < status.Head {
				late = append(late, fmt.Sprintf("%s has kept %d of %d events of %s", c, status.Consumers[c], status.Head, source))
			}
		}
	}
	return late, nil
}

func (k *checker) orders(ctx context.Context) ([]order, error) {
	var all []order
	for {
		after := ""
		if len(all) > 0 {
			after = all[len(all)-1].ID
		}
		var page struct{ Orders []order }
		if err := k.get(ctx, "orders", "/orders/audit?after="+url.QueryEscape(after), &page); err != nil {
			return nil, err
		}
		if len(page.Orders) == 0 {
			return all, nil
		}
		all = append(all, page.Orders...)
	}
}

// effects returns a participant's effects by order, and judges its ledger.
func (k *checker) effects(ctx context.Context, name string) (map[string]effect, error) {
	all := map[string]effect{}
	for after := ""; ; {
		var page struct {
			Effects []effect
			Ledger  struct {
				Entries, Unbalanced, Negative, Drift int64
				Sums                                 map[string]int64
			}
		}
		if err := k.get(ctx, name, "/"+name+"/audit?after="+url.QueryEscape(after), &page); err != nil {
			return nil, err
		}
		if after == "" {
			l := page.Ledger
			k.verdict.Entries += l.Entries
			for currency, sum := range l.Sums {
				if sum != 0 {
					k.problem("%s: all entries in %s sum to %d, not 0", name, currency, sum)
				}
			}
			if l.Unbalanced+l.Negative+l.Drift != 0 {
				k.problem("%s: %d entry sets do not sum to 0, %d balances are negative, %d are not the sum of their entries", name, l.Unbalanced, l.Negative, l.Drift)
			}
		}
		if len(page.Effects) == 0 {
			return all, nil
		}
		for _, e := range page.Effects {
			all[e.Order] = e
			after = e.Order
		}
	}
}

// keys checks that each key has one order, the one its customer was told.
func (k *checker) keys(r *Report, orders []order) {
	byKey := map[string]string{}
	for _, o := range orders {
		if other, ok := byKey[o.Key]; ok {
			k.problem("key %s was applied twice: %s and %s", o.Key, other, o.ID)
		}
		byKey[o.Key] = o.ID
	}
	if r == nil {
		return
	}
	for _, key := range r.Doubled {
		k.problem("key %s was answered with two different orders", key)
	}
	for key, id := range r.Orders {
		if byKey[key] != id {
			k.problem("order %s was accepted under %s, but there is %q", id, key, byKey[key])
		}
	}
	if k.Fresh {
		for key := range byKey {
			if !strings.HasPrefix(key, "key-") {
				k.problem("there is an order of a key that nobody sent: %s", key)
			}
		}
	}
}

// order checks that an order's parts are all there, or all gone.
func (k *checker) order(o order, effects map[string]map[string]effect) {
	k.verdict.Orders++
	switch o.State {
	case "confirmed":
		k.verdict.Confirmed++
	case "rejected":
		k.verdict.Rejected++
	default:
		return // said already
	}
	if o.Credits+o.Gift+o.Card != o.Total {
		k.problem("order %s: its parts do not make its total", o.ID)
	}
	for name, part := range map[string]int64{"credits": o.Credits, "giftcards": o.Gift, "payments": o.Card, "rewards": o.Total} {
		e, there := effects[name][o.ID]
		there = there && e.State != "undone"
		want := o.State == "confirmed" && part > 0
		switch {
		case there && !want:
			k.problem("order %s is %s, but %s has %s of it", o.ID, o.State, name, e.State)
		case !there && want:
			k.problem("order %s is confirmed, but %s has nothing of it", o.ID, name)
		case want && name != "rewards" && (e.Amount.Minor != part || e.Amount.Currency != o.Currency):
			k.problem("order %s: %s has %d %s of it, not %d %s", o.ID, name, e.Amount.Minor, e.Amount.Currency, part, o.Currency)
		case want && name == "credits" && e.State != "settled":
			k.problem("order %s is confirmed, but its credits are only held", o.ID)
		case want && name != "credits" && e.State != "done":
			k.problem("order %s is confirmed, but %s has it %s", o.ID, name, e.State)
		}
	}
}

func (k *checker) get(ctx context.Context, service, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(k.URLs[service], "/")+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", service, err)
	}
	if k.Host != "" {
		req.Host = k.Host
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", service, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("ask %s: %w", service, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: GET %s answered %d: %.200s", service, path, resp.StatusCode, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("ask %s: GET %s: %w", service, path, err)
	}
	return nil
}
