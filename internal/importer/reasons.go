package importer

import "strings"

// reason is why a key is not carried over, and what to do about it.
type reason struct {
	kind    NoteKind
	why     string
	instead string
}

// leftover notes a key that no reader took.
func (b *builder) leftover(n *node, known map[string]reason) {
	key := n.path[strings.LastIndexByte(n.path, '.')+1:]
	key, _, _ = strings.Cut(key, "[")
	r, ok := known[key]
	if !ok {
		r = reason{Lost, "Titrate has nothing like it", ""}
	}
	b.note(n, r.kind, r.why, r.instead)
}

var composeReasons = map[string]reason{
	"expose":              {Needless, "an accessory is reached at its own port", ""},
	"healthcheck":         {Needless, "an accessory is up when it accepts connections", ""},
	"secrets":             {Lost, "an accessory is given no files", "its image takes the value from a variable"},
	"depends_on":          {Needless, "services start together, and what dies is started again", ""},
	"links":               {Needless, "the services of an app reach one another", ""},
	"restart":             {Needless, "what dies is started again", ""},
	"restart_policy":      {Needless, "what dies is started again", ""},
	"container_name":      {Needless, "instances have names of their own", ""},
	"hostname":            {Needless, "instances have names of their own", ""},
	"networks":            {Needless, "the services of an app reach one another by their addresses", ""},
	"logging":             {Needless, "output is kept: titrate logs", ""},
	"update_config":       {Needless, "rollout says how traffic moves to a new version", ""},
	"rollback_config":     {Needless, "alarms take traffic back", ""},
	"pull_policy":         {Needless, "a tag is looked up at each push", ""},
	"init":                {Needless, "Titrate reaps what a process leaves", ""},
	"tty":                 {Needless, "output is kept: titrate logs", ""},
	"stdin_open":          {Needless, "a service has no terminal", ""},
	"interval":            {Needless, "Titrate asks until an instance is ready", ""},
	"timeout":             {Needless, "Titrate asks until an instance is ready", ""},
	"retries":             {Needless, "Titrate asks until an instance is ready", ""},
	"start_period":        {Needless, "startTimeout is 2m", ""},
	"start_interval":      {Needless, "Titrate asks until an instance is ready", ""},
	"develop":             {Needless, "it is for development", ""},
	"reservations":        {Lost, "nothing is reserved on one machine", "limits bound what an instance uses"},
	"placement":           {Lost, "all runs on this machine", ""},
	"security_opt":        {Needless, "a container gains no privileges here", ""},
	"cap_drop":            {Needless, "a container has few capabilities here", ""},
	"privileged":          {Lost, "no workload is privileged", ""},
	"cap_add":             {Lost, "a container has few capabilities here", ""},
	"network_mode":        {Lost, "a workload has a network of its own", "port says where it listens"},
	"configs":             {Lost, "files are not mounted", "COPY them in the Dockerfile"},
	"extra_hosts":         {Lost, "names are those of the machine", "put them into the machine's /etc/hosts"},
	"user":                {Lost, "the image's own user is taken", "USER in the Dockerfile"},
	"working_dir":         {Lost, "the image's own folder is taken", "WORKDIR in the Dockerfile"},
	"tmpfs":               {Lost, "only volumes with a name are kept", "every instance has a TMPDIR"},
	"stop_signal":         {Lost, "the image's own signal is taken", "STOPSIGNAL in the Dockerfile"},
	"platform":            {Lost, "images run on this machine's architecture", ""},
	"cache_from":          {Needless, "builds are cached", ""},
	"cache_to":            {Needless, "builds are cached", ""},
	"dockerfile_inline":   {Lost, "a Dockerfile stands in a file of its own", "write it into a file: build: { dockerfile: PATH }"},
	"additional_contexts": {Lost, "a build sees its own folder alone", ""},
	"volumes_from":        {Lost, "volumes have names here", "volumes: { NAME: /path }"},
	"ulimits":             {Lost, "limits are memory, cpu and processes", "limits: { memory: 512MB }"},
	"devices":             {Lost, "a workload sees no devices", ""},
	"gpus":                {Lost, "a workload sees no devices", ""},
	"annotations":         {Lost, "annotations are for other tools", ""},
}
