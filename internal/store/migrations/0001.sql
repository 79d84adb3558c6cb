-- Format 1. Times are nanoseconds since 1970 in UTC; columns of type TEXT that
-- end a table hold JSON, and what queries need of it stands in columns before.

CREATE TABLE sequences (
  name  TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO sequences (name, value) VALUES ('event', 0), ('rollout', 0), ('command', 0), ('push', 0), ('token', 0);

CREATE TABLE apps (
  name    TEXT PRIMARY KEY,
  release BIGINT NOT NULL,
  made    BIGINT NOT NULL
);

CREATE TABLE releases (
  app    TEXT NOT NULL,
  number BIGINT NOT NULL,
  at     BIGINT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (app, number)
);

CREATE TABLE workloads (
  app      TEXT NOT NULL,
  env      TEXT NOT NULL,
  workload TEXT NOT NULL,
  release  BIGINT NOT NULL,
  orphaned BIGINT NOT NULL,
  stable   BIGINT NOT NULL,
  newest   BIGINT NOT NULL,
  settings TEXT NOT NULL,
  PRIMARY KEY (app, env, workload)
);

CREATE TABLE versions (
  app      TEXT NOT NULL,
  env      TEXT NOT NULL,
  workload TEXT NOT NULL,
  number   BIGINT NOT NULL,
  release  BIGINT NOT NULL,
  made     BIGINT NOT NULL,
  refused  TEXT NOT NULL,
  ended    TEXT NOT NULL,
  record   TEXT NOT NULL,
  PRIMARY KEY (app, env, workload, number)
);
CREATE INDEX versions_refused ON versions (app, env, workload, number) WHERE refused <> '';

CREATE TABLE promotions (
  app      TEXT NOT NULL,
  env      TEXT NOT NULL,
  workload TEXT NOT NULL,
  rollout  BIGINT NOT NULL,
  version  BIGINT NOT NULL,
  release  BIGINT NOT NULL,
  previous BIGINT NOT NULL,
  at       BIGINT NOT NULL,
  PRIMARY KEY (app, env, workload, rollout)
);

CREATE TABLE rollouts (
  id        BIGINT PRIMARY KEY,
  app       TEXT NOT NULL,
  env       TEXT NOT NULL,
  release   BIGINT NOT NULL,
  kind      TEXT NOT NULL,
  phase     TEXT NOT NULL,
  outcome   TEXT NOT NULL,
  revision  BIGINT NOT NULL,
  opened    BIGINT NOT NULL,
  moved     BIGINT NOT NULL,
  opened_by TEXT NOT NULL,
  retries   BIGINT NOT NULL,
  plan      TEXT NOT NULL,
  state     TEXT NOT NULL
);
CREATE INDEX rollouts_live ON rollouts (id) WHERE phase <> 'ended';
CREATE INDEX rollouts_place ON rollouts (app, env, id);
CREATE INDEX rollouts_release ON rollouts (app, release, id);

CREATE TABLE members (
  app      TEXT NOT NULL,
  env      TEXT NOT NULL,
  workload TEXT NOT NULL,
  rollout  BIGINT NOT NULL,
  version  BIGINT NOT NULL,
  PRIMARY KEY (app, env, workload, rollout)
);
CREATE INDEX members_rollout ON members (rollout);

CREATE TABLE history (
  rollout  BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  core     INTEGER NOT NULL,
  at       BIGINT NOT NULL,
  before   TEXT NOT NULL,
  seen     TEXT NOT NULL,
  after    TEXT NOT NULL,
  PRIMARY KEY (rollout, sequence)
);

CREATE TABLE commands (
  id      BIGINT PRIMARY KEY,
  rollout BIGINT NOT NULL,
  at      BIGINT NOT NULL,
  command TEXT NOT NULL
);
CREATE INDEX commands_rollout ON commands (rollout, id);

CREATE TABLE events (
  id       BIGINT PRIMARY KEY,
  at       BIGINT NOT NULL,
  kind     TEXT NOT NULL,
  app      TEXT NOT NULL,
  env      TEXT NOT NULL,
  workload TEXT NOT NULL,
  rollout  BIGINT NOT NULL,
  release  BIGINT NOT NULL,
  data     TEXT NOT NULL
);
CREATE INDEX events_app ON events (app, id);

CREATE TABLE pushes (
  id      BIGINT PRIMARY KEY,
  app     TEXT NOT NULL,
  stage   TEXT NOT NULL,
  at      BIGINT NOT NULL,
  record  TEXT NOT NULL
);
CREATE INDEX pushes_open ON pushes (id) WHERE stage IN ('accepted', 'building');
CREATE INDEX pushes_app ON pushes (app, id);
