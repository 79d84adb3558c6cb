-- Format 3. Databases and caches that an app needs beside its workloads; record is
-- their rollout.AccessoryRecord as JSON.

CREATE TABLE accessories (
  app    TEXT NOT NULL,
  env    TEXT NOT NULL,
  name   TEXT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (app, env, name)
);
