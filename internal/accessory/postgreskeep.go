package accessory

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// setAside begins the names of databases that a restore took the place of.
const setAside = "_before_"

// Freeze opens a transaction and exports its snapshot, which pg_dump takes up: see
// https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION
func (k postgres) Freeze(ctx context.Context, p Place) (Frozen, error) {
	c, err := asApp(ctx, p, role(p))
	if err != nil {
		return Frozen{}, err
	}
	f := Frozen{release: func() { _ = c.Close(context.WithoutCancel(ctx)) }} // the transaction ends with it
	if f.Version, err = dataVersion(p.Data()); err == nil {
		_, err = c.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	}
	if err == nil {
		err = c.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&f.Snapshot)
	}
	if err == nil {
		f.Counted, err = count(ctx, c)
	}
	if err != nil {
		f.release()
		return Frozen{}, fmt.Errorf("hold the data still: %w", err)
	}
	return f, nil
}

// Dump writes pg_dump's custom format. It is the app's user that reads: nothing but
// the app's own is in it, and it can be restored by it.
func (postgres) Dump(p Place, f Frozen, into string) (Command, error) {
	return tool(p, "pg_dump", "--format=custom", "--no-owner", "--no-acl", "--snapshot="+f.Snapshot, "--file="+into, "--dbname="+role(p))
}

func (postgres) Restore(p Place, database, from string) (Command, error) {
	return tool(p, "pg_restore", "--no-owner", "--no-acl", "--exit-on-error", "--dbname="+database, from)
}

// tool returns a program of PostgreSQL's that connects as the app.
func tool(p Place, program string, args ...string) (Command, error) {
	bin, err := programs(p)
	if err != nil {
		return Command{}, err
	}
	return Command{
		Dir: p.Dir, Env: []string{"PGPASSWORD=" + p.Password},
		Argv: append([]string{filepath.Join(bin, program), "--host=127.0.0.1", "--port=" + strconv.Itoa(p.Port), "--username=" + role(p), "--no-password"}, args...),
	}, nil
}

func (k postgres) Create(ctx context.Context, p Place, database string) error {
	if err := k.Drop(ctx, p, database); err != nil {
		return err
	}
	return asAdmin(ctx, p, "CREATE DATABASE "+quoted(database)+" OWNER "+quoted(role(p))+" TEMPLATE template0")
}

func (postgres) Count(ctx context.Context, p Place, database string) (Counted, error) {
	c, err := asApp(ctx, p, database)
	if err != nil {
		return Counted{}, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // only read
	return count(ctx, c)
}

// count counts the rows of every table that can be read. One that is part of another's
// partitions is counted by itself, and the other not.
func count(ctx context.Context, c *pgx.Conn) (Counted, error) {
	rows, err := c.Query(ctx, `SELECT n.nspname, t.relname FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE t.relkind = 'r' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2`)
	if err != nil {
		return Counted{}, err
	}
	type table struct{ Schema, Name string }
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return Counted{}, err
	}
	out := Counted{Tables: len(tables)}
	for _, t := range tables {
		var n int64
		if err := c.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{t.Schema, t.Name}.Sanitize()).Scan(&n); err != nil {
			return Counted{}, fmt.Errorf("count %s.%s: %w", t.Schema, t.Name, err)
		}
		out.Rows += n
	}
	return out, nil
}

func (postgres) Drop(ctx context.Context, p Place, database string) error {
	return asAdmin(ctx, p, "DROP DATABASE IF EXISTS "+quoted(database)+" WITH (FORCE)")
}

func (postgres) Has(ctx context.Context, p Place, database string) (has bool, err error) {
	c, err := admin(ctx, p)
	if err != nil {
		return false, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // only read
	err = c.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", database).Scan(&has)
	return has, err
}

// Swap renames both databases in one transaction. Clients that were sent away come back
// at once, so that it may take several tries to find nobody there.
func (k postgres) Swap(ctx context.Context, p Place, database, aside string) error {
	c, err := admin(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // what it did is committed
	older, err := c.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", role(p)+setAside)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(older, pgx.RowTo[string])
	if err != nil {
		return err
	}
	const tries = 200
	for try := 1; ; try++ {
		err := swap(ctx, c, role(p), database, aside)
		var pg *pgconn.PgError
		if err == nil {
			break
		}
		const inUse = "55006" // object_in_use
		if !errors.As(err, &pg) || pg.Code != inUse || try == tries {
			return fmt.Errorf("give the app the restored database: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	for _, name := range names {
		if err := k.Drop(ctx, p, name); err != nil {
			return fmt.Errorf("remove what an earlier restore set aside: %w", err)
		}
	}
	return nil
}

func swap(ctx context.Context, c *pgx.Conn, own, database, aside string) error {
	if _, err := c.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ($1, $2)", own, database); err != nil {
		return err
	}
	_, err := c.Exec(ctx, strings.Join([]string{ // one message is one transaction
		"ALTER DATABASE " + quoted(own) + " RENAME TO " + quoted(aside),
		"ALTER DATABASE " + quoted(database) + " RENAME TO " + quoted(own),
	}, "; "))
	return err
}

// Aside names what a restore takes the place of.
func Aside(p Place, stamp string) string { return role(p) + setAside + strings.ToLower(stamp) }

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// admin connects as the administrator.
func admin(ctx context.Context, p Place) (*pgx.Conn, error) {
	return connect(ctx, p, administrator, p.Admin, "postgres")
}

// asApp connects as the app.
func asApp(ctx context.Context, p Place, database string) (*pgx.Conn, error) {
	return connect(ctx, p, role(p), p.Password, database)
}

// asAdmin runs one statement as the administrator.
func asAdmin(ctx context.Context, p Place, statement string) error {
	c, err := admin(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // what it did is committed
	_, err = c.Exec(ctx, statement)
	return err
}
