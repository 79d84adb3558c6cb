package controller_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

const pictures = `titrate: 1
app: cofe
defaults: { rollout: AllAtOnce, bake: 0, drain: 0 }
services:
  orders: { image: "ghcr.io/cofe/orders:1" }
registries:
  ghcr.io: { username: ana, password: GHCR }
`

// imaged is a delivery of one image.
func imaged(t *testing.T, ref, digest string, engine bool) controller.Delivery {
	t.Helper()
	d := delivery(t, pictures, map[string]string{"orders": strings.Repeat(digest, 64)})
	d.Artifact["orders"] = rollout.Artifact{Digest: strings.Repeat(digest, 64), Image: &rollout.Image{
		Digest: "sha256:" + strings.Repeat(digest, 64), Ref: ref, Engine: engine, Cmd: []string{"/server"}, Ports: []int{8080},
	}}
	d.Commit = ref + digest
	return d
}

// TestR1_theSameImageUnderAnotherNameDoesNotMove pushes tags: what moves is what has
// another digest, or is held by somebody else.
func TestR1_theSameImageUnderAnotherNameDoesNotMove(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.vault["GHCR"] = "token"
	for i, step := range []struct {
		d    controller.Delivery
		want int
		what string
	}{
		{imaged(t, "orders:1", "a", false), 1, ""},
		{imaged(t, "orders:latest", "a", false), 0, ""},
		{imaged(t, "orders:latest", "b", false), 1, "artifact"},
		{imaged(t, "orders:latest", "b", true), 1, "image"},
	} {
		got, err := p.Deliver(t.Context(), step.d)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Rollouts) != step.want || strings.Join(got.Workloads[0].Changed, " ") != step.what {
			t.Errorf("%d: %+v", i, got)
		}
		for _, id := range got.Rollouts {
			p.ended(id, rollout.Promoted)
		}
	}
	f := p.hands.fleets("orders")[3]
	if f.Image == nil || f.Image.Digest != "sha256:"+f.Artifact || !f.Image.Engine || f.Image.Cmd[0] != "/server" || len(f.Command) != 0 || f.Image.Ports[0] != 8080 {
		t.Errorf("%+v", f)
	}
}

// TestPush_showsARegistryTheSecretThatTheManifestNames also refuses before anything
// is built when no environment of the push has it.
func TestPush_showsARegistryTheSecretThatTheManifestNames(t *testing.T) {
	t.Parallel()
	var asked []controller.BuildRequest
	r := run(t, t.TempDir(), builder(func(_ context.Context, b controller.BuildRequest) (map[string]rollout.Artifact, error) {
		asked = append(asked, b)
		return imaged(t, "orders:1", "a", false).Artifact, nil
	}))
	push := aPush("c1")
	push.Manifest = []byte(pictures)
	if _, err := r.push(t, push, io.Discard); err == nil || !strings.Contains(err.Error(), "GHCR") || len(asked) != 0 {
		t.Fatalf("%v, %+v", err, asked)
	}
	r.vault["GHCR"] = "token"
	push.Commit = "c2"
	if _, err := r.push(t, push, io.Discard); err != nil {
		t.Fatal(err)
	}
	if asked[0].Logins["ghcr.io"] != (controller.Login{Username: "ana", Password: "token"}) || asked[0].Services[0].Image != "ghcr.io/cofe/orders:1" {
		t.Errorf("%+v", asked)
	}
}
