package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"titrate/internal/rollout"
)

// Accessory is a database or cache that the app needs. What is said of it holds in
// every environment; each environment has one of its own.
type Accessory struct {
	Name string
	rollout.AccessorySpec
}

// The accessories that are known by name.
const (
	usePostgres = "postgres"
	useRedis    = "redis"

	maxAccessories = 20

	defaultEvery = 24 * time.Hour
	defaultKeep  = 7
)

// defaultSecret is the variable that programs read of themselves.
var defaultSecret = map[string]string{usePostgres: "DATABASE_URL", useRedis: "REDIS_URL"}

func accessoryKeys() []Key {
	return []Key{
		{
			Name: "accessories", Places: atTop, kind: sections("names with settings", "accessory", inAccessory, maxAccessories),
			Example: "accessories:\n  db:    { use: postgres }\n  cache: { use: redis }",
			Doc:     "Databases and caches that the app needs. Each environment has its own: started at the first push, before what uses it; asked whether it is well; kept when the manifest no longer names it. They are never shifted. A service is given the connection string by naming its secret.",
		},
		{
			Name: "use", Places: inAccessory, kind: choice([]string{usePostgres, useRedis}, nil), Example: "use: postgres",
			Doc: "PostgreSQL or Redis, from the programs of this machine. Anything else has run.",
		},
		{
			Name: "run", Places: inAccessory, kind: command(), Example: "run: mailpit --listen 127.0.0.1:$PORT",
			Doc: "A shell line that starts the accessory, in a folder of its own that is kept. It listens on 127.0.0.1:$PORT, and is ready when it accepts connections.",
		},
		{
			Name: "version", Places: inAccessory, kind: text(codeRange, `a major version in quotes: "15"`, map[string]any{"pattern": majorPattern.String()}, checkMajor), Default: "what the machine has",
			Example: `version: "15"`, Doc: "The major version of PostgreSQL. Data of another one is never opened or changed: that is said, with what to type.",
		},
		{
			Name: "port", Places: inAccessory, kind: number(65535), Default: "a free one, kept from then on", Example: "port: 5432",
			Doc: "The port on 127.0.0.1. With several environments on one machine only one of them can have it.",
		},
		{
			Name: "env", Places: inAccessory, kind: variables(), Example: "env: { MP_DATABASE: mail.db }",
			Doc: "Environment variables of an accessory with run.",
		},
		{
			Name: "secret", Places: inAccessory, kind: text(codeVariable, "the name of a variable", map[string]any{"pattern": variablePattern.String()}, checkVariable), Default: "`DATABASE_URL` for postgres, `REDIS_URL` for redis, `NAME_URL` for run",
			Example: "secret: ORDERS_DATABASE_URL", Doc: "The variable that services are given the connection string in, when they name it under secrets. A value set by hand with `titrate secret set` wins, and then the accessory is not used.",
		},
		{
			Name: "url", Places: inAccessory, kind: text(codeType, "a connection string: smtp://$HOST:$PORT", map[string]any{"minLength": 1}, checkCommand), Default: "`http://$HOST:$PORT`", Example: "url: smtp://$HOST:$PORT",
			Doc: "The connection string of an accessory with run. $HOST, $PORT and $PASSWORD (generated; the accessory has it as $PASSWORD too) are filled in.",
		},
	}
}

// backupKeys are the keys of a backup.
func backupKeys() []Key {
	return []Key{
		{
			Name: "backup", Places: inAccessory, kind: backupKind(), Default: "of postgres `{ every: 24h, keep: 7 }`, of others none", Example: "backup: { every: 6h, keep: 28 }",
			Doc: "Copies of PostgreSQL's data, made while it serves. Each is restored beside the data at once, compared and thrown away, so that it is known to be good. They stand on the same disk: copy them elsewhere. `none` makes none by itself; `titrate accessory backup` makes one at any time.",
		},
		{Name: "every", Places: inBackup, kind: duration(time.Minute, 366*24*time.Hour), Default: "24h", Example: "every: 6h", Doc: "The time between two backups. The first is made so long after the data."},
		{Name: "keep", Places: inBackup, kind: number(10000), Default: "7", Example: "keep: 28", Doc: "How many are kept. The newest that a rehearsal found good always stays."},
	}
}

func backupKind() kind {
	return kind{
		accepts: "how often, and how many are kept: { every: 24h, keep: 7 }; or none",
		schema:  map[string]any{"anyOf": []any{map[string]any{"$ref": "#/definitions/backup"}, map[string]any{"const": none}}},
		read: func(r *reader, n *yaml.Node, at string) (any, bool) {
			if n.Tag == "!!str" && n.Value == none {
				return layer(nil), true
			}
			return r.table(n, at, inBackup), true
		},
	}
}

// backup resolves how often data is copied.
func backup(l layer, a *rollout.AccessorySpec) {
	said, written := l["backup"]
	if a.Use != usePostgres || written && said.value.(layer) == nil {
		return
	}
	of := pick(layer(nil), "backup", l)
	a.Every, a.Keep = pick(defaultEvery, "every", of), pick(defaultKeep, "keep", of)
}

var majorPattern = regexp.MustCompile(`^[1-9][0-9]?$`)

func checkMajor(s string) error {
	if !majorPattern.MatchString(s) {
		return errors.New("a major version is a number: 15")
	}
	return nil
}

// accessories resolves what the file says of them.
func (f *file) accessories(said []section) []Accessory {
	var out []Accessory
	secrets := map[string]string{}
	for _, s := range said {
		a, good := f.accessory(s)
		if !good {
			continue
		}
		if other, taken := secrets[a.Secret]; taken {
			f.r.fault(s.key, Problem{
				Code: codeAccessory, Path: s.path, Message: fmt.Sprintf("%s and %s give their connection strings in one variable, %s", other, a.Name, a.Secret),
				Hint: "add secret: NAME to one of them",
			})
		}
		secrets[a.Secret] = a.Name
		out = append(out, a)
	}
	return out
}

func (f *file) accessory(s section) (Accessory, bool) {
	l := s.says
	a := Accessory{Name: s.name, AccessorySpec: rollout.AccessorySpec{
		Use: pick("", "use", l), Run: pick("", "run", l), Version: pick("", "version", l), Port: pick(0, "port", l), URL: pick("", "url", l),
	}}
	fault := func(key, message, hint string) (Accessory, bool) {
		at := s.pair
		if e, ok := l[key]; ok {
			at = e.pair
		}
		f.r.fault(at.key, Problem{Code: codeAccessory, Path: at.path, Message: message, Hint: hint})
		return a, false
	}
	switch {
	case f.troubled(s.name):
		return a, false // what follows would only confuse
	case slices.ContainsFunc(f.services, func(o section) bool { return o.name == s.name }):
		return fault("", "a service is named "+s.name+" too", "give the accessory another name")
	case a.Use == "" && a.Run == "":
		return fault("", s.name+" does not say what it is", "add use: postgres, use: redis, or run: COMMAND")
	case a.Use != "" && a.Run != "":
		return fault("run", s.name+" has both use and run", "keep one of them")
	case a.Version != "" && a.Use != usePostgres:
		return fault("version", "only PostgreSQL has a version here", "remove version")
	case l["backup"].key != nil && a.Use != usePostgres:
		return fault("backup", "only PostgreSQL is backed up by Titrate", "remove backup, and copy "+s.name+" by hand: its folder stands in titrate accessory ls")
	}
	backup(l, &a.AccessorySpec)
	if a.Use != "" {
		for _, key := range []string{"url", "env"} {
			if _, ok := l[key]; ok {
				return fault(key, key+" is for accessories with run", "remove "+key)
			}
		}
	} else if a.URL == "" {
		a.URL = "http://$HOST:$PORT"
	}
	for k, v := range pick(map[string]entry(nil), "env", l) {
		if a.Env == nil {
			a.Env = map[string]string{}
		}
		a.Env[k] = v.value.(string)
	}
	if a.Secret = pick(defaultSecret[a.Use], "secret", l); a.Secret == "" {
		a.Secret = strings.ToUpper(strings.ReplaceAll(s.name, "-", "_")) + "_URL"
	}
	return a, true
}

// unused warns of accessories whose connection string no service is given.
func (f *file) unused(app *App, said []section) {
	named := map[string]bool{}
	for _, e := range app.Environments {
		for _, s := range e.Services {
			for _, name := range s.Secrets {
				named[name] = true
			}
		}
	}
	for i, a := range app.Accessories {
		if !named[a.Secret] {
			f.r.fault(said[i].key, Problem{
				Severity: SeverityWarning, Code: warnUnused, Path: said[i].path, Message: fmt.Sprintf("no service is given %s, the connection string of %s", a.Secret, a.Name),
				Hint: "add secrets: [" + a.Secret + "] to the services that use it",
			})
		}
	}
}

// accessoriesBlock writes them out in full.
func accessoriesBlock(all []Accessory) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\naccessories:\n")
	for _, a := range all {
		fmt.Fprintf(&b, "  %s:\n", a.Name)
		b.WriteString(indent(line("use", a.Use)+line("run", optional(a.Run))+line("version", quoted(a.Version))+line("port", nonzero(a.Port))+
			Service{Env: a.Env}.envBlock()+line("url", optional(a.URL))+line("secret", a.Secret)+a.backupLine(), 4))
	}
	return b.String()
}

func (a Accessory) backupLine() string {
	switch {
	case a.Use != usePostgres:
		return ""
	case a.Every == 0:
		return line("backup", none)
	}
	return line("backup", flow(field{"every", FormatDuration(a.Every)}, field{"keep", strconv.Itoa(a.Keep)}))
}

// quoted writes a number as the text that it is.
func quoted(s string) string {
	if s == "" {
		return ""
	}
	return `"` + s + `"`
}
