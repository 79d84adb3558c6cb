package rollout

import (
	"slices"
	"testing"
)

func TestFill(t *testing.T) {
	t.Parallel()
	values := map[string]string{"HOST": "127.0.0.1", "PORT": "3306", "PASSWORD": "pa$HOST"}
	for text, want := range map[string]string{
		"mysql://root:$PASSWORD@$HOST:${PORT}/app": "mysql://root:pa$HOST@127.0.0.1:3306/app",
		"$PASSWORDS $ $1 ${PORT $OTHER":            "$PASSWORDS $ $1 ${PORT $OTHER",
		"":                                         "",
	} {
		if got := Fill(text, values); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := Placeholders("a://$USER:${PASSWORD}@$HOST"); !slices.Equal(got, []string{"USER", "PASSWORD", "HOST"}) {
		t.Error(got)
	}
}
