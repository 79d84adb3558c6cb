package importer

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// stock is what a public image is, when it holds no code of the app's.
type stock struct {
	use    string   // usePostgres or useRedis, which Titrate knows; empty: any other image
	port   int      // on which it is reached
	bases  []string // last parts of image names
	secret string   // usual name of the connection string
	scheme []string // of connection strings
	data   string   // the folder of the image that is to be kept; empty: none is known
}

// The accessories that Titrate knows by name.
const (
	usePostgres = "postgres"
	useRedis    = "redis"
)

// defaultSecret is the variable that the address of such an accessory is in, where
// nothing else is said.
var defaultSecret = map[any]string{usePostgres: "DATABASE_URL", useRedis: "REDIS_URL"}

var stocks = []stock{
	{usePostgres, 5432, []string{"postgres", "postgresql", "postgis", "timescaledb", "timescaledb-ha", "pgvector", "pgvecto-rs", "paradedb"}, "DATABASE_URL", []string{"postgres", "postgresql"}, "/var/lib/postgresql/data"},
	{useRedis, 6379, []string{"redis", "valkey", "redis-stack", "redis-stack-server", "redismod", "keydb", "dragonfly"}, "REDIS_URL", []string{"redis"}, "/data"},
	{"", 3306, []string{"mysql", "mariadb", "percona", "percona-server", "mysql-server"}, "DATABASE_URL", []string{"mysql", "mysql2", "mariadb"}, "/var/lib/mysql"},
	{"", 1433, []string{"mssql-server-linux", "azure-sql-edge", "mssql/server"}, "DATABASE_URL", []string{"sqlserver", "mssql"}, "/var/opt/mssql"},
	{"", 27017, []string{"mongo", "mongodb"}, "MONGODB_URI", []string{"mongodb"}, "/data/db"},
	{"", 11211, []string{"memcached"}, "MEMCACHE_URL", nil, ""},
	{"", 5672, []string{"rabbitmq"}, "AMQP_URL", []string{"amqp", "pyamqp"}, "/var/lib/rabbitmq"},
	{"", 9200, []string{"elasticsearch"}, "ELASTICSEARCH_URL", []string{"http", "https"}, "/usr/share/elasticsearch/data"},
	{"", 9200, []string{"opensearch"}, "OPENSEARCH_URL", []string{"http", "https"}, "/usr/share/opensearch/data"},
	{"", 9000, []string{"minio"}, "S3_ENDPOINT", []string{"http"}, "/data"},
	{"", 4222, []string{"nats", "nats-streaming"}, "NATS_URL", []string{"nats"}, ""},
	{"", 9092, []string{"kafka", "cp-kafka", "redpanda"}, "KAFKA_URL", nil, "/var/lib/kafka/data"},
	{"", 2181, []string{"zookeeper", "cp-zookeeper"}, "ZOOKEEPER_URL", nil, "/var/lib/zookeeper"},
	{"", 8123, []string{"clickhouse-server", "clickhouse"}, "CLICKHOUSE_URL", []string{"http", "clickhouse"}, "/var/lib/clickhouse"},
	{"", 7700, []string{"meilisearch"}, "MEILISEARCH_URL", []string{"http"}, "/meili_data"},
	{"", 8108, []string{"typesense"}, "TYPESENSE_URL", []string{"http"}, "/data"},
	{"", 6333, []string{"qdrant"}, "QDRANT_URL", []string{"http"}, "/qdrant/storage"},
	{"", 7687, []string{"neo4j"}, "NEO4J_URL", []string{"bolt", "neo4j"}, "/data"},
	{"", 8086, []string{"influxdb"}, "INFLUXDB_URL", []string{"http"}, "/var/lib/influxdb2"},
	{"", 9042, []string{"cassandra", "scylla"}, "CASSANDRA_URL", nil, "/var/lib/cassandra"},
	{"", 5984, []string{"couchdb"}, "COUCHDB_URL", []string{"http"}, "/opt/couchdb/data"},
	{"", 1025, []string{"mailhog", "mailpit", "mailcatcher", "maildev"}, "SMTP_URL", []string{"smtp"}, ""},
}

// proxies are images that do what Titrate's gateway or supervisor does.
var proxies = map[string]string{
	"traefik": "the gateway routes by host and path", "nginx-proxy": "the gateway routes by host and path",
	"nginx-proxy-manager": "the gateway routes by host and path", "acme-companion": "certificates are the gateway's",
	"letsencrypt-nginx-proxy-companion": "certificates are the gateway's", "certbot": "certificates are the gateway's",
	"watchtower": "a push releases new versions", "autoheal": "what dies is restarted",
}

// imageBase is the last part of an image's name, without tag and digest.
func imageBase(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	base, _, _ := strings.Cut(path.Base(ref), ":")
	return strings.ToLower(base)
}

// official reports whether a reference is of the public image of that name itself, and
// not of another that was made of it.
func official(ref, name string) bool {
	for _, prefix := range []string{"docker.io/", "index.docker.io/", "library/"} {
		ref = strings.TrimPrefix(ref, prefix)
	}
	return name != "" && imageBase(ref) == name && !strings.Contains(ref, "/")
}

// stockOf returns what an image is, if it is one that many apps use.
func stockOf(ref string) (stock, bool) {
	for _, s := range stocks {
		if slices.Contains(s.bases, imageBase(ref)) || slices.Contains(s.bases, path.Base(path.Dir(ref))+"/"+imageBase(ref)) {
			return s, true
		}
	}
	return stock{}, false
}

var (
	secretName = regexp.MustCompile(`(?i)(PASS(WD|PHRASE)?$|PASSWORD|SECRET|TOKEN|API_?KEY|PRIVATE|CREDENTIAL|(^|_)KEY(_BASE)?$|_KEY_ID$|SALT$|_DSN$|_AUTH$|^DSN$|_PWD$|_PW$)`)
	publicName = regexp.MustCompile(`(?i)(PUBLIC|_FILE$|_PATH$|_DIR$|_URL$|_URI$|_HOST$|_PORT$|_TTL$|_EXPIR|_LENGTH$|_TIMEOUT$|_ENABLED$|ALLOW_EMPTY)`)
	plainWord  = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|none|null)?$`)
	// tokens are what several issuers' look like, and what is too long and too random to be a word.
	token    = regexp.MustCompile(`^((sk|pk|rk)_(live|test)_|gh[pousr]_|github_pat_|glpat-|AKIA|xox[abprs]-|SG\.|eyJ[A-Za-z0-9_-]{10})|-----BEGIN|^[A-Fa-f0-9]{32,}$|^[A-Za-z0-9+_-][A-Za-z0-9+/_-]{38,}={0,2}$`)
	userInfo = regexp.MustCompile(`(?i)^[a-z][a-z0-9+.:-]*://[^/@\s]*:[^/@\s]+@`)
)

// isSecret reports whether a variable seems to hold what must not stand in a file
// for everybody to read.
func isSecret(name, value string) bool {
	if token.MatchString(value) && strings.ContainsAny(value, "0123456789") || strings.HasPrefix(value, "-----BEGIN") {
		return true
	}
	return userInfo.MatchString(value) || secretName.MatchString(name) && !publicName.MatchString(name) && !plainWord.MatchString(value)
}
