-- One row per run, one per step that started or finished, one per lock ever taken (its epoch only grows).
CREATE TABLE IF NOT EXISTS run (
  id          TEXT PRIMARY KEY,
  runbook     TEXT NOT NULL,
  digest      TEXT NOT NULL,
  docs        TEXT NOT NULL,      -- JSON: the resolved documents with their texts, frozen for resume
  params      TEXT NOT NULL,      -- JSON; secret ones as env:NAME or file:PATH
  target      TEXT NOT NULL,      -- JSON: name, identity, and the flags that resolve it again
  risk        TEXT NOT NULL,
  plan        INTEGER NOT NULL,
  holder      TEXT NOT NULL,      -- JSON: user, host, pid, process start
  status      TEXT NOT NULL,
  exit        INTEGER,
  started_at  TEXT NOT NULL,
  finished_at TEXT,
  duration_ms REAL,
  cancelled   TEXT,               -- the signal that asked it to stop
  unwinding   TEXT,               -- JSON: the failure for which it began to be taken back; nothing new begins after it
  output      TEXT,
  error       TEXT,
  view        TEXT,               -- JSON: the target as expressions saw it; null where it held a secret, and in older versions
  judged      TEXT                -- JSON: what the gates let through: hazards, locks, the backup before it; null in older versions
) STRICT;
CREATE INDEX IF NOT EXISTS run_started ON run (started_at);
CREATE INDEX IF NOT EXISTS run_unfinished ON run (id, runbook, target, holder, risk) WHERE status = 'running';
CREATE TABLE IF NOT EXISTS step (
  seq         INTEGER PRIMARY KEY,
  run         TEXT NOT NULL REFERENCES run (id),
  path        TEXT NOT NULL,
  id          TEXT NOT NULL,
  type        TEXT NOT NULL,
  phase       TEXT NOT NULL,      -- main | undo
  status      TEXT NOT NULL,      -- open until the outcome is known; retrying between two attempts
  masked      INTEGER NOT NULL DEFAULT 0,
  input       TEXT,
  undo        TEXT,
  result      TEXT,
  started_at  TEXT NOT NULL,
  happened    TEXT,               -- no | maybe | yes: whether it has acted; null in rows of older versions
  assumed     TEXT,               -- done | not_done: what a person said of it while it was open
  attempts    INTEGER,            -- the attempt that was begun last
  input_digest TEXT,              -- keyed: whether the input is still the same
  undo_digest TEXT,               -- the same for what its undo was given
  UNIQUE (run, path)
) STRICT;
CREATE TABLE IF NOT EXISTS saw (  -- what the run goes by when it is resumed, beside the ends of its steps
  run         TEXT NOT NULL REFERENCES run (id),
  path        TEXT NOT NULL,
  what        TEXT NOT NULL,      -- skipped | list | failure | output | end | kept | note
  value       TEXT NOT NULL,      -- JSON
  PRIMARY KEY (run, path, what)
) STRICT;
CREATE TABLE IF NOT EXISTS answer (
  seq         INTEGER PRIMARY KEY,
  run         TEXT NOT NULL REFERENCES run (id),
  path        TEXT NOT NULL,
  said        TEXT NOT NULL,      -- done | not_done
  at          TEXT NOT NULL,
  holder      TEXT NOT NULL       -- JSON: who said so
) STRICT;
CREATE INDEX IF NOT EXISTS answer_run ON answer (run);
CREATE TABLE IF NOT EXISTS child (
  run         TEXT NOT NULL REFERENCES run (id),
  path        TEXT NOT NULL,
  pid         INTEGER NOT NULL,
  started     TEXT NOT NULL,      -- tells a reused pid from the same process
  program     TEXT NOT NULL,
  PRIMARY KEY (run, pid)          -- a program that has ended has no row any more
) STRICT;
CREATE TABLE IF NOT EXISTS lock (
  key         TEXT PRIMARY KEY,
  epoch       INTEGER NOT NULL,
  beats       INTEGER NOT NULL,   -- raised by the holder while it lives; no time of day, for clocks differ and jump
  lease_ms    INTEGER NOT NULL,   -- beats that stand still for this long mean that the holder has lost it
  run         TEXT,
  holder      TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS audit (  -- who ran and approved what: see audit.ts
  seq         INTEGER PRIMARY KEY,  -- 1, 2, 3, …
  run         TEXT,
  approval    TEXT UNIQUE,          -- the approval by which a run began: it works once
  entry       TEXT NOT NULL,        -- canonical JSON
  hash        TEXT NOT NULL         -- over the hash before it and the entry
) STRICT;
CREATE INDEX IF NOT EXISTS audit_run ON audit (run);
