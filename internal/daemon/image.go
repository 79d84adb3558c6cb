package daemon

import (
	"context"
	"errors"

	"titrate/internal/pipeline"
	"titrate/internal/target/local"
	"titrate/internal/target/local/namespaces"
)

// canRunImages tells the pipeline whether this machine can run images.
func canRunImages(dir folder) func(context.Context) error {
	return func(ctx context.Context) error {
		err := local.CheckImages(ctx, dir.node())
		if lack, ok := errors.AsType[*namespaces.Error](err); ok {
			return &pipeline.LackError{Saw: lack.Saw, Help: lack.Help}
		}
		return err
	}
}
