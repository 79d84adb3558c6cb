package accessory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"titrate/internal/durable"
)

// administrator owns the cluster; the app's user does not, so that a hole in the app
// is none in the machine (COPY … FROM PROGRAM).
const administrator = "titrate"

// debianRoot is where Debian keeps PostgreSQL's programs, a folder a major version.
const debianRoot = "/usr/lib/postgresql"

type postgres struct{}

func (postgres) Gentle() bool { return true } // SIGINT is its fast shutdown; SIGTERM waits for every client

// Make makes a cluster with initdb.
func (postgres) Make(p Place) (*Command, error) {
	bin, err := programs(p)
	if err != nil {
		return nil, err
	}
	if have, err := dataVersion(p.Data()); err != nil || have != "" {
		return nil, err
	}
	// initdb reads it once; the next start writes it anew.
	secret := filepath.Join(p.Dir, "admin")
	if err := durable.WriteFile(secret, []byte(p.Admin+"\n")); err != nil {
		return nil, fmt.Errorf("keep the administrator's password: %w", err)
	}
	return &Command{Dir: p.Dir, Argv: []string{
		filepath.Join(bin, "initdb"), "-D", p.Making(), "-U", administrator, "--pwfile", secret, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8",
	}}, nil
}

// Serve runs it on loopback alone, without a socket that other users could find.
func (postgres) Serve(p Place) (Command, error) {
	bin, err := programs(p)
	if err != nil {
		return Command{}, err
	}
	return Command{Dir: p.Dir, Argv: []string{
		filepath.Join(bin, "postgres"), "-D", p.Data(), "-p", strconv.Itoa(p.Port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "logging_collector=off", "-c", "log_destination=stderr",
	}}, nil
}

func (postgres) URL(p Place, host string) string {
	return address(host, role(p), p.Password, role(p))
}

func address(host, user, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: host, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

func connect(ctx context.Context, p Place, user, password, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, address(p.Addr(), user, password, database))
}

// Check connects, and makes the app's user and database where they are not there.
func (postgres) Check(ctx context.Context, p Place) error {
	c, err := admin(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // it was asked; nothing is lost with it
	var hasRole, hasDatabase bool
	err = c.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1), EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)`, role(p)).Scan(&hasRole, &hasDatabase)
	if err != nil {
		return err
	}
	name := quoted(role(p))
	var do []string
	if !hasRole {
		do = append(do, "CREATE ROLE "+name+" LOGIN PASSWORD '"+strings.ReplaceAll(p.Password, "'", "''")+"'")
	}
	if !hasDatabase {
		do = append(do, "CREATE DATABASE "+name+" OWNER "+name)
	}
	for _, statement := range do {
		if _, err := c.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make the app's database: %w", err)
		}
	}
	return nil
}

// role names the app's user and its database.
func role(p Place) string { return strings.ReplaceAll(p.App, "-", "_") }

// dataVersion is the major version that a cluster was made with; empty without one.
func dataVersion(data string) (string, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the version of the data: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// programs finds the folder of PostgreSQL's programs: of the version that the data was
// made with, which nothing but a person changes, else of the one asked for, else of the
// newest there is.
func programs(p Place) (string, error) {
	have, err := dataVersion(p.Data())
	if err != nil {
		return "", err
	}
	all := installed()
	want := cmp.Or(have, p.Spec.Version)
	switch {
	case have != "" && p.Spec.Version != "" && have != p.Spec.Version:
		return "", fmt.Errorf("error[T0570]: the data is of PostgreSQL %s and the manifest asks for %s: it is not upgraded by itself, and nothing was changed\n  help    write version: \"%s\"; to move, dump it with pg_dump, take the accessory out and in again, and restore", have, p.Spec.Version, have)
	case want != "" && all[want] == "":
		return "", fmt.Errorf("PostgreSQL %s is not on this machine\n  help    apt install postgresql-%s, or set the connection string of another: titrate secret set %s", want, want, p.Spec.Secret)
	case len(all) == 0:
		return "", fmt.Errorf("PostgreSQL is not on this machine\n  help    apt install postgresql, or set the connection string of another: titrate secret set %s", p.Spec.Secret)
	}
	if want == "" {
		var versions []string
		for v := range all {
			versions = append(versions, v)
		}
		want = slices.MaxFunc(versions, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	}
	return all[want], nil
}

// installed maps the major versions on this machine to the folders of their programs.
func installed() map[string]string {
	all := map[string]string{}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			if out, err := exec.Command(path, "--version").Output(); err == nil { //nolint:noctx // prints and ends
				if f := strings.Fields(string(out)); len(f) > 2 {
					major, _, _ := strings.Cut(f[2], ".")
					all[major] = filepath.Dir(path)
				}
			}
		}
	}
	dirs, _ := filepath.Glob(filepath.Join(debianRoot, "*", "bin", "initdb"))
	for _, path := range dirs {
		bin := filepath.Dir(path)
		all[filepath.Base(filepath.Dir(bin))] = bin
	}
	return all
}
