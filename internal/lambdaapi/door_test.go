package lambdaapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"titrate/internal/auth"
)

func TestDoor_onlyWhoHasSignedComesIn(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.deliver(t, "a1", over)
	k := i.local(t)
	refused(t, i.ask(t, key{k.id, "wrong"}, "GET", "", ""), 403, "InvalidSignatureException", "does not match")
	refused(t, i.ask(t, key{"TITRATEAAAAAAAAAAAAA", k.secret}, "GET", "", ""), 403, "UnrecognizedClientException")
	for _, authorization := range []string{"", "Bearer local-token", "AWS4-HMAC-SHA256 nonsense"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/2015-03-31/functions/api-pickups-get/invocations", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if a := send(t, r); a.status != 403 || !strings.HasSuffix(a.header.Get("X-Amzn-Errortype"), "Exception") {
			t.Errorf("%q: %+v", authorization, a)
		}
	}
	if n := len(i.machine.calls); n != 0 {
		t.Errorf("%d calls got through", n)
	}
	// What was signed ten minutes ago is stale.
	i.mu.Lock()
	i.now = time.Now().Add(10 * time.Minute)
	i.mu.Unlock()
	refused(t, i.ask(t, k, "GET", "", ""), 403, "InvalidSignatureException", "Signature expired")
}

func TestDoor_aChangedRequestIsNotWhatWasSigned(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.deliver(t, "a1", over)
	k := i.local(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/2015-03-31/functions/api-pickups-get/invocations", strings.NewReader(`{"n":2}`))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(`{"n":1}`))
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret}, r, hex.EncodeToString(sum[:]), "lambda", "local", time.Now()); err != nil {
		t.Fatal(err)
	}
	refused(t, send(t, r), 403, "InvalidSignatureException")
	if len(i.machine.calls) != 0 {
		t.Error("it got through")
	}
}

func TestDoor_keysAreGoodForWhatTheirTokenIs(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.deliver(t, "a1", over)
	viewer, deployer := i.roled(t, auth.Viewer), i.roled(t, auth.Deployer)
	if a := i.ask(t, viewer, "GET", "", ""); a.status != 200 {
		t.Errorf("%+v", a)
	}
	refused(t, i.ask(t, viewer, "POST", "/api-pickups-get/invocations", ""), 403, "AccessDeniedException", "a-viewer", "lambda:InvokeFunction", "--role deployer")
	if a := i.ask(t, deployer, "POST", "/api-pickups-get/invocations", ""); a.status != 200 {
		t.Errorf("%+v", a)
	}
	if err := i.tokens.Revoke("a-deployer"); err != nil {
		t.Fatal(err)
	}
	refused(t, i.ask(t, deployer, "POST", "/api-pickups-get/invocations", ""), 403, "UnrecognizedClientException")
	if _, _, err := i.tokens.Create(auth.Token{Name: "old", Role: auth.Admin, Expires: time.Now().Add(-time.Second)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	refused(t, i.ask(t, i.keys(t, "old"), "GET", "", ""), 403, "ExpiredTokenException", "old")
}

func TestDoor_wrongSignaturesFromElsewhereAreLimited(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.far = true
	k := i.local(t)
	for range 3 {
		refused(t, i.ask(t, key{k.id, "wrong"}, "GET", "", ""), 403, "InvalidSignatureException")
	}
	a := i.ask(t, k, "GET", "", "")
	refused(t, a, 429, "TooManyRequestsException", "192.0.2.1")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
