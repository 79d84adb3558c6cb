package manifest

import (
	"errors"
	"fmt"
	"maps"
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
			Doc: "PostgreSQL or Redis, from the programs of this machine. Anything else has image or run.",
		},
		{
			Name: "image", Places: inAccessory, kind: imageKind(), Example: "image: mysql:8",
			Doc: "A container image that is the accessory: from a registry, oci:PATH or tar:PATH, as a service's. It is pinned by its digest at the push that names it first; what later pushes bring waits for `titrate accessory restart`.",
		},
		{
			Name: "run", Places: inAccessory, kind: runKind(), Example: "run: mailpit --listen 127.0.0.1:$PORT",
			Doc: "A shell line that starts the accessory, in a folder of its own that is kept. It listens on 127.0.0.1:$PORT, and is ready when it accepts connections. Beside image a line stands in place of its entrypoint and command, a list of arguments in place of its command.",
		},
		{
			Name: "version", Places: inAccessory, kind: text(codeRange, `a major version in quotes: "15"`, map[string]any{"pattern": majorPattern.String()}, checkMajor), Default: "what the machine has",
			Example: `version: "15"`, Doc: "The major version of PostgreSQL. Data of another one is never opened or changed: that is said, with what to type.",
		},
		{
			Name: "port", Places: inAccessory, kind: number(65535), Default: "a free one, kept from then on", Example: "port: 5432",
			Doc: "The port on 127.0.0.1. With several environments on one machine only one of them can have it. Of an image: the port that it listens on within, by default the only one that it exposes; the one outside is a free one.",
		},
		{
			Name: "env", Places: inAccessory, kind: variables(), Example: "env: { MP_DATABASE: mail.db }",
			Doc: "Environment variables of an accessory with image or run. $PASSWORD in a value is the accessory's own, which is made up; it stands in the variable PASSWORD too.",
		},
		{
			Name: "secrets", Places: inAccessory, kind: names(codeVariable, "a list of names: [LICENCE_KEY]", maxSecrets, checkVariable), Example: "secrets: [LICENCE_KEY]",
			Doc: "Names of secrets that an accessory with image or run is given as environment variables, besides its password.",
		},
		{
			Name: "volumes", Places: inAccessory, kind: volumesKind(), Default: "nothing of it is kept over a restart, but for $TITRATE_STATE", Example: "volumes: { data: /var/lib/mysql }",
			Doc: "Folders of an accessory with image that are kept, by name, with where it sees them. They stand in the accessory's folder and are never removed.",
		},
		{
			Name: "health", Places: inAccessory, kind: text(codePath, "a path such as /healthz", map[string]any{"pattern": "^/"}, checkURLPath), Default: "it is well when it accepts connections", Example: "health: /_cluster/health",
			Doc: "The path that answers 2xx when an accessory with image or run is well.",
		},
		{
			Name: "secret", Places: inAccessory, kind: text(codeVariable, "the name of a variable", map[string]any{"pattern": variablePattern.String()}, checkVariable), Default: "`DATABASE_URL` for postgres, `REDIS_URL` for redis, `NAME_URL` for the rest",
			Example: "secret: ORDERS_DATABASE_URL", Doc: "The variable that services are given the connection string in, when they name it under secrets. A value set by hand with `titrate secret set` wins, and then the accessory is not used.",
		},
		{
			Name: "url", Places: inAccessory, kind: text(codeType, "a connection string: smtp://$HOST:$PORT", map[string]any{"minLength": 1}, checkCommand), Default: "`http://$HOST:$PORT`", Example: "url: smtp://$HOST:$PORT",
			Doc: "The connection string of an accessory with image or run. $HOST, $PORT and $PASSWORD (generated; the accessory has it as $PASSWORD too) are filled in, and its own env and secrets by their names.",
		},
	}
}

// backupKeys are the keys of a backup.
func backupKeys() []Key {
	return []Key{
		{
			Name: "backup", Places: inAccessory, kind: backupKind(), Default: "of postgres `{ every: 24h, keep: 7 }`, of all else none", Example: "backup: { every: 6h, keep: 28 }",
			Doc: "Copies of the data, made while it serves: of PostgreSQL and Redis by themselves, of an accessory with image or run by a command. Each is restored beside the data at once, compared and thrown away, so that it is known to be good. They stand on the same disk: copy them elsewhere. `none` makes none by itself; `titrate accessory backup` makes one at any time.",
		},
		{Name: "every", Places: inBackup, kind: duration(time.Minute, 366*24*time.Hour), Default: "24h", Example: "every: 6h", Doc: "The time between two backups. The first is made so long after the data."},
		{
			Name: "at", Places: inBackup, kind: text(codeRange, `an hour and minute in quotes: "03:00"`, map[string]any{"pattern": clockPattern.String()}, checkClock), Example: `at: "03:00"`,
			Doc: "When a backup is made each day, instead of every: by the clock and in the time zone of the machine that runs it.",
		},
		{Name: "keep", Places: inBackup, kind: number(10000), Default: "7", Example: "keep: 28", Doc: "How many are kept. The newest that a rehearsal found good always stays."},
		{
			Name: "command", Places: inBackup, kind: command(), Example: `command: mongodump -h "$HOST" --archive`,
			Doc: "Of an accessory with image or run: the shell line that writes its data to its standard output. It runs beside the accessory, with its programs and environment, and reaches it at $HOST:$PORT. One that fails or writes nothing leaves no backup.",
		},
		{
			Name: "restore", Places: inBackup, kind: command(), Default: "backups are neither rehearsed nor restored", Example: `restore: mongorestore -h "$HOST" --archive`,
			Doc: "The shell line that reads what command wrote, into an accessory that is new and has no data. With it each backup is rehearsed.",
		},
		{
			Name: "check", Places: inBackup, kind: command(), Default: "a restored backup must be dumped again", Example: `check: mysql -N -h "$HOST" -e 'select count(*) from app.orders'`,
			Doc: "A shell line that writes what must be the same after a restore, such as counts. It is compared when it wrote the same before and after the dump.",
		},
	}
}

func backupKind() kind {
	return kind{
		accepts: "how often, how many are kept, and by which command: { every: 24h, keep: 7 }, or { at: \"03:00\" }; or none",
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
	if !written && a.Use != usePostgres || written && said.value.(layer) == nil {
		return
	}
	of := pick(layer(nil), "backup", l)
	a.At, a.Keep = pick("", "at", of), pick(defaultKeep, "keep", of)
	if a.At == "" {
		a.Every = pick(defaultEvery, "every", of)
	}
	if dump := pick("", "command", of); dump != "" {
		a.Commands = &rollout.BackupCommands{Dump: dump, Restore: pick("", "restore", of), Check: pick("", "check", of)}
	}
}

var clockPattern = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

func checkClock(s string) error {
	if !clockPattern.MatchString(s) {
		return errors.New("a time of the day is an hour and a minute: \"03:00\"")
	}
	return nil
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
	run := pick(Run{}, "run", l)
	a := Accessory{Name: s.name, AccessorySpec: rollout.AccessorySpec{
		Use: pick("", "use", l), Image: pick("", "image", l), Run: run.Line, Args: run.Args, Version: pick("", "version", l), Port: pick(0, "port", l),
		URL: pick("", "url", l), Health: pick("", "health", l),
	}}
	if f.troubled(s.name) {
		return a, false // what follows would only confuse
	}
	if key, message, hint := f.misfit(a, l); message != "" {
		at := s.pair
		if e, ok := l[key]; ok {
			at = e.pair
		}
		f.r.fault(at.key, Problem{Code: codeAccessory, Path: at.path, Message: message, Hint: hint})
		return a, false
	}
	backup(l, &a.AccessorySpec)
	if v := pick(rollout.Volumes(nil), "volumes", l); len(v) > 0 {
		a.Volumes = v
	}
	if a.Use == "" && a.URL == "" {
		a.URL = "http://$HOST:$PORT"
	}
	if a.Secret = pick(defaultSecret[a.Use], "secret", l); a.Secret == "" {
		a.Secret = strings.ToUpper(strings.ReplaceAll(s.name, "-", "_")) + "_URL"
	}
	return a, f.given(&a, l)
}

// misfit says which key of an accessory does not go with the others, and what to do; an
// empty message: none.
func (f *file) misfit(a Accessory, l layer) (key, message, hint string) {
	switch {
	case slices.ContainsFunc(f.all, func(o workload) bool { return o.name == a.Name }):
		return "", "a service" + strings.TrimSuffix(" "+f.orFunction(), " ") + " is named " + a.Name + " too", "give the accessory another name"
	case a.Use == "" && a.Image == "" && l["run"].key == nil:
		return "", a.Name + " does not say what it is", "add use: postgres, use: redis, image: REF, or run: COMMAND"
	case a.Use != "" && a.Image != "":
		return "image", a.Name + " has both use and image", "keep one of them"
	case a.Use != "" && l["run"].key != nil:
		return "run", a.Name + " has both use and run", "keep one of them"
	case a.Image == "" && len(a.Args) > 0:
		return "run", "a list of arguments is for accessories with image", "write a shell line, which knows $PORT"
	case a.Version != "" && a.Use != usePostgres:
		return "version", "only PostgreSQL has a version here", "remove version"
	case a.Use == "" && pick(layer(nil), "backup", l) != nil && !backs(l, "command"):
		return "backup", "nothing says how the data of " + a.Name + " is dumped", "add command: LINE, which writes it to its standard output"
	case a.Use != "" && (backs(l, "command") || backs(l, "restore") || backs(l, "check")):
		return "backup", "commands of a backup are for accessories with image or run", "remove them: Titrate knows how to back up " + a.Use
	case backs(l, "every") && backs(l, "at"):
		return "backup", "the backup of " + a.Name + " has both every and at", "keep one of them"
	case a.Image == "" && l["volumes"].key != nil:
		return "volumes", "volumes are for accessories with image", "remove volumes: Titrate keeps the folder that " + a.Name + " runs in"
	}
	for _, v := range pick(rollout.Volumes(nil), "volumes", l) {
		if v.Shared {
			return "volumes", a.Name + " is one instance, and its volumes are its own", "remove shared"
		}
	}
	for _, key := range []string{"url", "env", "secrets", "health"} {
		if _, ok := l[key]; ok && a.Use != "" {
			return key, key + " is for accessories with image or run", "remove " + key
		}
	}
	return "", "", ""
}

// backs reports whether a backup says a key.
func backs(l layer, key string) bool { return pick(layer(nil), "backup", l)[key].key != nil }

// given takes what an accessory's process is given, and checks that the connection
// string names nothing else.
func (f *file) given(a *Accessory, l layer) (good bool) {
	good = true
	fault := func(code string, at pair, message, hint string) {
		f.r.fault(at.key, Problem{Code: code, Path: at.path, Message: message, Hint: hint})
		good = false
	}
	for _, name := range pick([]string(nil), "secrets", l) {
		if a.Secrets == nil {
			a.Secrets = map[string]string{}
		}
		a.Secrets[name] = ""
	}
	env := pick(map[string]entry(nil), "env", l)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value, text := env[name].value.(string)
		if _, secret := a.Secrets[name]; secret {
			fault(codeEnvAndSecret, env[name].pair, name+" is a secret of "+a.Name+" too", "keep it in one of env and secrets")
		}
		if !text {
			fault(codeAccessory, env[name].pair, "an accessory starts before services do, and is not told where they are", "write the address, or let the service call it")
			continue
		}
		if a.Env == nil {
			a.Env = map[string]string{}
		}
		a.Env[name] = value
	}
	for _, name := range rollout.Placeholders(a.URL) {
		_, secret := a.Secrets[name]
		if _, variable := a.Env[name]; !variable && !secret && !slices.Contains([]string{"HOST", "PORT", "PASSWORD"}, name) {
			fault(codeAccessory, l["url"].pair, "url has $"+name+", which is nothing that "+a.Name+" is given", "$HOST, $PORT, $PASSWORD, or a name of its env or secrets")
		}
	}
	return good
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
		same := Service{Run: Run{Line: a.Run, Args: a.Args}, Env: a.Env, Secrets: slices.Sorted(maps.Keys(a.Secrets)), Volumes: a.Volumes} // written as a service's
		b.WriteString(indent(line("use", a.Use)+line("image", optional(a.Image))+same.runLine()+line("version", quoted(a.Version))+line("port", nonzero(a.Port))+
			line("health", optional(a.Health))+same.envBlock()+same.secretsLine()+same.volumesBlock()+line("url", optional(a.URL))+line("secret", a.Secret)+a.backupLine(), 4))
	}
	return b.String()
}

func (a Accessory) backupLine() string {
	switch {
	case !a.Scheduled() && a.Use == usePostgres:
		return line("backup", none)
	case !a.Scheduled():
		return ""
	}
	says := []field{{"every", FormatDuration(a.Every)}, {"keep", strconv.Itoa(a.Keep)}}
	if a.At != "" {
		says[0] = field{"at", quoted(a.At)}
	}
	if c := a.Commands; c != nil {
		says = append(says, field{"command", scalar(c.Dump)}, field{"restore", optional(c.Restore)}, field{"check", optional(c.Check)})
	}
	return line("backup", flow(says...))
}

// quoted writes a number as the text that it is.
func quoted(s string) string {
	if s == "" {
		return ""
	}
	return `"` + s + `"`
}
