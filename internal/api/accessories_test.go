package api

import (
	"net/http"
	"strings"
	"testing"

	"titrate/client"
)

func TestAPI_accessories(t *testing.T) {
	t.Parallel()
	i := install(t)
	ctx := t.Context()
	if list, err := i.Accessories(ctx, "shop", "production"); err != nil || list == nil || len(list) != 0 {
		t.Errorf("%#v, %v", list, err)
	}
	for what, err := range map[string]error{
		"remove": i.RemoveAccessory(ctx, "shop", "production", "db"),
		"ask": func() error {
			_, err := i.AskAccessory(ctx, "shop", "production", "db", client.TaskRequest{Kind: "backup"})
			return err
		}(),
	} {
		if p := problemOf(t, err, http.StatusNotFound, "T0802"); !strings.Contains(p.Detail, "there is no accessory") {
			t.Errorf("%s: %+v", what, p)
		}
	}
	if _, err := i.AskAccessory(ctx, "shop", "production", "db", client.TaskRequest{Kind: "erase"}); err == nil || strings.Contains(err.Error(), "there is no accessory") {
		t.Errorf("a task that nobody knows: %v", err)
	}
}
