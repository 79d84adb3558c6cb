package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Owner names a data folder in an engine: what two of them hold there does not mix.
func Owner(folder string) string {
	sum := sha256.Sum256([]byte(folder))
	return hex.EncodeToString(sum[:6])
}

// kept is the name that an image of an owner has: titrate-OWNER:HEX.
func kept(owner string) string { return "titrate-" + owner }

// Keep gives an image a name of its owner's: one without any goes with the next
// `docker image prune`, while a rollback still needs it.
func (e *Engine) Keep(ctx context.Context, id, owner string) error {
	_, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: kept(owner) + ":" + strings.TrimPrefix(id, "sha256:")})
	return e.failed("name an image", err)
}

// Kept lists the ids of the images that an owner keeps.
func (e *Engine) Kept(ctx context.Context, owner string) ([]string, error) {
	got, err := e.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, e.failed("list images", err)
	}
	var ids []string
	for _, im := range got.Items {
		for _, name := range im.RepoTags {
			// Podman puts localhost/ or docker.io/library/ before it.
			if hex, ok := strings.CutPrefix(path.Base(name), kept(owner)+":"); ok {
				ids = append(ids, "sha256:"+hex)
			}
		}
	}
	return ids, nil
}

// LetGo takes the owner's name from an image, and removes it when it has no name
// left that a person gave it. One that is not there is let go; one that a container
// uses stays as it is, to be let go another time.
func (e *Engine) LetGo(ctx context.Context, id, owner string) error {
	remove := func(name string) (stays bool, err error) {
		_, err = e.api.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
		if errdefs.IsNotFound(err) {
			return false, nil
		}
		return errdefs.IsConflict(err), e.failed("remove an image", err)
	}
	if stays, err := remove(kept(owner) + ":" + strings.TrimPrefix(id, "sha256:")); stays || err != nil {
		if stays {
			return nil
		}
		return err
	}
	got, err := e.api.ImageInspect(ctx, id)
	if err != nil || len(got.RepoTags) > 0 {
		if err = e.failed("look at an image", err); errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	}
	for _, name := range append(got.RepoDigests, id) { // pulled by its digest, which is a name too
		if stays, err := remove(name); err != nil && !stays { // other images are built on it
			return err
		}
	}
	return nil
}
