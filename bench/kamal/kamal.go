package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// deployYML is the file of `kamal init` as its comments ask for it to be edited, and
// with what this machine lacks: it reaches no registry but its own, so the builder is
// the engine's and not an image, and no authority, so there is no ssl.
const deployYML = `service: shop
image: dev/shop
servers:
  web:
    - 127.0.0.1
proxy:
  ssl: false
  host: ` + host + `
registry:
  server: ` + store + `
  username: dev
  password:
    - KAMAL_REGISTRY_PASSWORD
builder:
  arch: amd64
  driver: docker
`

// secrets is the other file, with its line for the registry's password. Kamal's own
// registry would need none, but this machine is the person's and the server in one, and
// the two would want the same port.
const secrets = "KAMAL_REGISTRY_PASSWORD=$KAMAL_REGISTRY_PASSWORD\n"

// kamal walks with Kamal.
func kamal(ctx context.Context, w *world, o options) (*walk, error) {
	k, p, err := w.begin(ctx, "kamal", o.verbose)
	if err != nil {
		return nil, err
	}
	k.next(p, "setup until it serves")
	if _, err := p.types(ctx, "kamal init"); err != nil {
		return nil, err
	}
	if err := errors.Join(p.edits("config/deploy.yml", deployYML), p.edits(".kamal/secrets", secrets)); err != nil {
		return nil, err
	}
	for _, c := range []string{`git add -A && git commit -qm "Kamal"`, "kamal setup"} {
		if _, err := p.types(ctx, c); err != nil {
			return nil, err
		}
	}
	before, err := p.types(ctx, "git rev-parse HEAD") // printed by kamal setup, too
	if err != nil {
		return nil, err
	}
	p.commands = p.commands[:len(p.commands)-1]
	l := begin(ctx, "http://127.0.0.1:80/", o.rate)
	defer l.stop()
	if err := k.faults(ctx, p, l, o, strings.TrimSpace(before)); err != nil {
		return nil, err
	}
	_, err = p.types(ctx, "kamal remove -y") // port 80 and the engine are the next tool's
	p.commands = p.commands[:len(p.commands)-1]
	return k, err
}

// faults deploys what should not stay: version is the good one.
func (k *walk) faults(ctx context.Context, p *person, l *load, o options, version string) error {
	if o.good {
		k.next(p, "a good commit until all users have it")
		if err := p.commits(ctx, better); err != nil {
			return err
		}
		if _, err := p.types(ctx, "kamal deploy"); err != nil {
			return err
		}
		p.load = l.take()
		p.notes = append(p.notes, "all users have it at once")
	}
	k.next(p, "a commit that fails half of its requests")
	if err := p.commits(ctx, broken); err != nil {
		return err
	}
	l.take()
	began := time.Now()
	if _, err := p.types(ctx, "kamal deploy"); err != nil {
		return fmt.Errorf("kamal refused a commit which is healthy: %w", err)
	}
	live := l.take()
	if live.bad == 0 {
		return errors.New("the bad commit is deployed, and no request has failed")
	}
	p.notes = append(p.notes, "kamal deploy exits 0; by then: "+live.String())
	if err := rest(ctx, o.notice); err != nil { // it stays so
		return err
	}
	stays := l.take()
	p.notes = append(p.notes, fmt.Sprintf("nobody types anything for %v: %v", o.notice, stays))
	if _, err := p.types(ctx, "kamal rollback "+version); err != nil {
		return err
	}
	p.took = time.Since(began)
	p.load = l.take()
	p.notes = append(p.notes, "kamal rollback: "+p.load.String())
	p.load = live.plus(stays).plus(p.load)

	k.next(p, "a commit that is not healthy")
	if err := p.commits(ctx, unhealthy); err != nil {
		return err
	}
	l.take()
	if _, err := p.types(ctx, "kamal deploy"); err == nil {
		return errors.New("kamal took a commit which is not healthy")
	}
	p.load = l.take()
	p.notes = append(p.notes, "kamal deploy exits 1 and leaves the version before it")
	return nil
}
