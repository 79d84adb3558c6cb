package daemon

import (
	"errors"
	"strings"
	"testing"

	"titrate/internal/controller"
)

func TestPush_tellsWhatToTypeNext(t *testing.T) {
	t.Parallel()
	err := withHint(&controller.Problem{Kind: controller.Conflict, Message: "the host is another app's", Hint: "host: NAME in titrate.yaml"})
	if got := err.Error(); got != "the host is another app's\n  help    host: NAME in titrate.yaml" {
		t.Errorf("got %q", got)
	}
	var p *controller.Problem
	if !errors.As(err, &p) {
		t.Error("the problem's kind is lost")
	}
	if got := withHint(errors.New("plain")).Error(); strings.Contains(got, "help") {
		t.Errorf("a hint came from nowhere: %q", got)
	}
}
