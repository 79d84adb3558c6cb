package cofe_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"titrate/examples/cofe"
	"titrate/internal/porttest"
)

// variant is a store built from a variant's repository, alone: what is tested
// here asks no other service.
type variant struct {
	url, log string
	cmd      *exec.Cmd
}

func startVariant(t *testing.T, v cofe.Variant, state string, env ...string) variant {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	if err := cofe.Write(dir, v); err != nil {
		t.Fatal(err)
	}
	build(t, dir, bin, "./services/store")
	port, path := strconv.Itoa(porttest.Held(t)), filepath.Join(bin, "log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(bin, "store"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(env, "PORT="+port, "TITRATE_STATE="+state, "TITRATE_VERSION="+string(v))
	for _, name := range cofe.Services()[1:] {
		cmd.Env = append(cmd.Env, strings.ToUpper(name)+"_URL=http://127.0.0.1:1")
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return variant{"http://127.0.0.1:" + port, path, cmd}
}

func (v variant) healthy(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		if status, _ := get(t, v.url+"/healthz", ""); status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not healthy:\n%s", v.logged(t))
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (v variant) logged(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(v.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var visitor = map[string]string{"Cookie": "customer=c-0005; cart=cart-12345678", "Content-Type": "application/json", "Idempotency-Key": "k1"}

// The search of v2 works beside v1 on the same data, and v1 works on after it:
// the way there and the way back.
func TestVariantV2_searchesBesideV1(t *testing.T) {
	t.Parallel()
	slow(t)
	state := t.TempDir()
	v1 := startVariant(t, cofe.V1, state)
	v1.healthy(t)
	if status, body := send(t, http.MethodPost, v1.url+"/cart/items", visitor, `{"product":"kivu","quantity":2}`); status != http.StatusOK {
		t.Fatalf("add: %d %s", status, body)
	}
	v2 := startVariant(t, cofe.V2, state)
	v2.healthy(t)
	for url, want := range map[string]int{v1.url: 12, v2.url: 1} {
		if _, body := get(t, url+"/products?q=YEMEN+cardamom", ""); strings.Count(body, `"id"`) != want {
			t.Errorf("found not %d: %s", want, body)
		}
	}
	if _, body := get(t, v2.url+"/products?q=100%25", ""); strings.Count(body, `"id"`) != 0 {
		t.Errorf("a percent sign is a wildcard: %s", body)
	}
	if _, body := get(t, v2.url+"/?q=yemen", "text/html"); !strings.Contains(body, "Haraz") || strings.Contains(body, "Kivu") || !strings.Contains(body, "v2") {
		t.Errorf("page: %s", body)
	}
	for _, v := range []variant{v2, v1} {
		if status, body := send(t, http.MethodGet, v.url+"/cart", visitor, ""); status != http.StatusOK || !strings.Contains(body, "kivu") {
			t.Errorf("cart: %d %s", status, body)
		}
	}
	again := startVariant(t, cofe.V1, state) // a rollback: the schema is ahead of it
	again.healthy(t)
}

func TestVariantV3_failsCheckoutsWithAPlaceInTheLog(t *testing.T) {
	t.Parallel()
	slow(t)
	v := startVariant(t, cofe.V3Errors, t.TempDir())
	v.healthy(t)
	if status, _ := send(t, http.MethodPost, v.url+"/cart/items", visitor, `{"product":"kivu","quantity":1}`); status != http.StatusOK {
		t.Fatalf("add: %d", status)
	}
	if status, _ := send(t, http.MethodPost, v.url+"/checkout", visitor, `{"card":"4242424242424242"}`); status != http.StatusInternalServerError {
		t.Errorf("checkout: %d, want 500", status)
	}
	if status, _ := get(t, v.url+"/cart", ""); status != http.StatusOK {
		t.Errorf("cart: %d, want 200: only checkouts fail", status)
	}
	if log := v.logged(t); !regexp.MustCompile(`"msg":"panic".*assignment to entry in nil map.*"at":"cart.go:\d+"`).MatchString(log) {
		t.Errorf("no place in the log:\n%s", log)
	}
}

func TestVariantLatency_makesVisitorsWaitForEachOther(t *testing.T) {
	t.Parallel()
	slow(t)
	v := startVariant(t, cofe.Latency, t.TempDir())
	v.healthy(t)
	began := time.Now()
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if status, body := get(t, v.url+"/products", ""); status != http.StatusOK || !strings.Contains(body, `"stock"`) {
				t.Errorf("products: %d %s", status, body)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took < 700*time.Millisecond {
		t.Errorf("six visitors took %s", took)
	}
}

func TestVariantCrash_diesUnderLoad(t *testing.T) {
	t.Parallel()
	slow(t)
	v := startVariant(t, cofe.Crash, t.TempDir())
	v.healthy(t)
	for range 40 {
		if status, _ := get(t, v.url+"/products/kivu", ""); status == 0 {
			break
		}
	}
	if err := v.cmd.Wait(); err == nil || !strings.Contains(v.logged(t), "index out of range") {
		t.Errorf("ended with %v:\n%s", err, v.logged(t))
	}
}

func TestVariantNeverHealthy_doesNotListenOnItsPort(t *testing.T) {
	t.Parallel()
	slow(t)
	elsewhere := strconv.Itoa(porttest.Held(t))
	v := startVariant(t, cofe.NeverHealthy, t.TempDir(), "STORE_ADDRESS=127.0.0.1:"+elsewhere)
	there := v
	there.url = "http://127.0.0.1:" + elsewhere
	there.healthy(t)
	if status, _ := get(t, v.url+"/healthz", ""); status != 0 {
		t.Errorf("it answers on its port: %d", status)
	}
}

func TestVariantConfig_changesTheEnvironmentOnly(t *testing.T) {
	t.Parallel()
	v2, err := cofe.Files(cofe.V2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := cofe.Files(cofe.Config)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range config {
		if (content != v2[name]) != (name == "titrate.yaml") {
			t.Errorf("%s: changed %v", name, content != v2[name])
		}
	}
	slow(t)
	v := startVariant(t, cofe.Config, t.TempDir(), "BANNER=Ramadan hours")
	v.healthy(t)
	if _, body := get(t, v.url+"/", "text/html"); !strings.Contains(body, "Ramadan hours") {
		t.Error(fmt.Sprint("no banner: ", body))
	}
}
