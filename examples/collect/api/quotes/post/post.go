// Package post is POST /quotes: what would it cost, before anybody asks for it?
package post

import (
	"context"
	"net/http"

	"titrate/examples/collect/internal/app"
	"titrate/examples/collect/internal/fn"
)

// Handle adds up a price that binds nobody.
func Handle(_ context.Context, _ *app.App, r fn.Request) (fn.Response, error) {
	var asked struct {
		Items []string `json:"items"`
	}
	if err := r.Decode(&asked); err != nil || len(asked.Items) == 0 {
		return fn.Refuse(http.StatusBadRequest, "of what? {\"items\": [\"sofa\"]} is needed")
	}
	var sum int64
	for _, item := range asked.Items {
		price := app.Price(item)
		if price == 0 {
			return fn.Refuse(http.StatusUnprocessableEntity, "not taken: "+item)
		}
		sum += price
	}
	return fn.JSON(http.StatusOK, map[string]any{"fils": sum, "price": app.Fils(sum)})
}
