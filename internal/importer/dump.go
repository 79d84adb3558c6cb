package importer

import (
	"fmt"
	"slices"
)

// dumped notes how the data of a well-known database that runs as an image is backed up,
// with the credentials that its environment has.
func (w *wiring) dumped(a *unit) {
	image, _ := a.value("image").(string)
	if c, r := dumpOf(imageBase(image), a); c != "" {
		w.notes = append(w.notes, Note{a.from.where(), a.from.path, Changed, "nothing backs its data up yet", fmt.Sprintf("backup: { command: '%s', restore: '%s' }", c, r)})
	}
}

// dumpOf returns the commands that dump a database and restore it; empty: they are not
// known. What they name the image's environment has.
func dumpOf(base string, a *unit) (dump, restore string) {
	const host = ` -h "$HOST"`
	switch {
	case slices.Contains([]string{"mysql", "mysql-server", "percona", "percona-server", "mariadb"}, base):
		password := a.first("MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD")
		if password == "" {
			return "", ""
		}
		dump, restore = "mysqldump", "mysql"
		if base == "mariadb" {
			dump, restore = "mariadb-dump", "mariadb"
		}
		what := "--all-databases"
		if name := a.first("MARIADB_DATABASE", "MYSQL_DATABASE"); name != "" {
			what = `--databases "$` + name + `"`
		}
		login := host + ` -uroot -p"$` + password + `"`
		return dump + login + " --single-transaction " + what, restore + login
	case slices.Contains([]string{"mongo", "mongodb"}, base):
		login := host
		if a.first("MONGO_INITDB_ROOT_USERNAME") != "" && a.first("MONGO_INITDB_ROOT_PASSWORD") != "" {
			login += ` -u "$MONGO_INITDB_ROOT_USERNAME" -p "$MONGO_INITDB_ROOT_PASSWORD" --authenticationDatabase admin`
		}
		return "mongodump" + login + " --archive", "mongorestore" + login + " --archive --drop"
	case slices.Contains(stocks[0].bases, base):
		password, user := a.first("POSTGRES_PASSWORD"), a.first("POSTGRES_USER")
		if password == "" {
			return "", ""
		}
		name := "postgres"
		if user != "" {
			name = `"$` + user + `"`
		}
		database := name
		if d := a.first("POSTGRES_DB"); d != "" {
			database = `"$` + d + `"`
		}
		login := host + " -U " + name
		return `PGPASSWORD="$POSTGRES_PASSWORD" pg_dump` + login + " -Fc " + database,
			`PGPASSWORD="$POSTGRES_PASSWORD" pg_restore` + login + " -d " + database + " --clean --if-exists"
	}
	return "", ""
}

// first returns the first of the variables that the accessory is given; empty: none.
func (u *unit) first(names ...string) string {
	env, _ := u.value("env").([]said)
	secrets, _ := u.value("secrets").([]string)
	i := slices.IndexFunc(names, func(name string) bool {
		return slices.Contains(secrets, name) || slices.ContainsFunc(env, func(s said) bool { return s.key == name })
	})
	if i < 0 {
		return ""
	}
	return names[i]
}
