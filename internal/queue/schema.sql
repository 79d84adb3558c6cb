CREATE TABLE IF NOT EXISTS queues (
  name        TEXT PRIMARY KEY,
  visibility  INTEGER NOT NULL, -- times and durations are milliseconds
  delay       INTEGER NOT NULL,
  retention   INTEGER NOT NULL,
  max_receive INTEGER NOT NULL, -- 0: any number
  dead_letter TEXT REFERENCES queues(name)
) STRICT;

CREATE TABLE IF NOT EXISTS messages (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT NOT NULL,
  queue      TEXT NOT NULL REFERENCES queues(name),
  source     TEXT NOT NULL DEFAULT '', -- the queue that gave it up, in a dead-letter queue
  body       BLOB NOT NULL,
  attributes TEXT NOT NULL,
  sent       INTEGER NOT NULL,
  visible    INTEGER NOT NULL,
  received   INTEGER NOT NULL DEFAULT 0,
  first      INTEGER NOT NULL DEFAULT 0,
  receipt    TEXT NOT NULL DEFAULT '' -- the newest one; empty: never received
) STRICT;
CREATE INDEX IF NOT EXISTS messages_visible ON messages(queue, visible, seq);
CREATE INDEX IF NOT EXISTS messages_sent ON messages(queue, sent);

CREATE TABLE IF NOT EXISTS duplicates (
  queue TEXT NOT NULL,
  key   TEXT NOT NULL,
  id    TEXT NOT NULL, -- of the message that was accepted
  until INTEGER NOT NULL,
  PRIMARY KEY (queue, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS duplicates_until ON duplicates(until);

CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS subscriptions (
  topic TEXT NOT NULL REFERENCES topics(name),
  queue TEXT NOT NULL REFERENCES queues(name),
  PRIMARY KEY (topic, queue)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS marks (
  name TEXT PRIMARY KEY,
  at   INTEGER NOT NULL -- the number of what was sent last under the name
) STRICT, WITHOUT ROWID;
