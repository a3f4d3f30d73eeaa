/**
 * The tables, as numbered steps. A step that was released is frozen: a change is a new step at the end.
 */

/** Marks a file as pawl's in SQLite's header ("pawl"). */
export const APPLICATION_ID = 0x7061776c;

export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE epoch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    opened_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE definition (
    hash TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE run (
    id TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    definition TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    wake_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    commit_no INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    suspicion INTEGER NOT NULL DEFAULT 0,
    suspected_at INTEGER NOT NULL DEFAULT 0,
    reason TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX run_unfinished ON run (suspicion, epoch) WHERE finished = 0;
  CREATE INDEX run_wake ON run (epoch, wake_at) WHERE finished = 0 AND wake_at IS NOT NULL;
  CREATE INDEX run_ready ON run (epoch, id) WHERE finished = 0 AND wake_at IS NULL;
  CREATE INDEX run_created ON run (created_at, id);
  CREATE TABLE actor (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    commit_no INTEGER NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL,
    output TEXT,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (run_id, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE history (
    run_id TEXT NOT NULL,
    commit_no INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, commit_no)
  ) STRICT, WITHOUT ROWID;
  `,
  // Runs are found by their definition: those of unknown definitions, and those that sleep, are never walked through.
  `
  DROP INDEX run_unfinished;
  CREATE INDEX run_definition_ready ON run (definition, suspicion, epoch) WHERE finished = 0 AND wake_at IS NULL;
  CREATE INDEX run_definition_wake ON run (definition, suspicion, wake_at, epoch) WHERE finished = 0 AND wake_at IS NOT NULL;
  CREATE INDEX definition_workflow ON definition (workflow);
  CREATE TABLE inbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX inbox_run ON inbox (run_id);
  CREATE TABLE event (
    run_id TEXT NOT NULL,
    id TEXT NOT NULL,
    commit_no INTEGER NOT NULL,
    PRIMARY KEY (run_id, id)
  ) STRICT, WITHOUT ROWID;
  `,
  // Many epochs at a time: a row is one that is open. Runs are listed by what they are about, and pruned when they ended.
  // Commits of all runs have one order, and what people are told of waits until it was told. Workers share some rows.
  `
  DELETE FROM epoch;
  ALTER TABLE epoch ADD COLUMN beat INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE epoch ADD COLUMN facts TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE run ADD COLUMN subject TEXT;
  ALTER TABLE run ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE run ADD COLUMN origin TEXT;
  ALTER TABLE run ADD COLUMN past_from INTEGER;
  ALTER TABLE run ADD COLUMN past_every INTEGER;
  CREATE INDEX run_state ON run (finished, status, workflow, created_at, id);
  CREATE INDEX run_subject ON run (subject, created_at, id) WHERE subject IS NOT NULL;
  CREATE INDEX run_ended_definition ON run (definition, updated_at, id) WHERE finished = 1;
  CREATE INDEX run_ended_status ON run (status, workflow, updated_at, id) WHERE finished = 1;
  CREATE TABLE tag (
    tag TEXT NOT NULL,
    at INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (tag, at, run_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE answer (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE INDEX answer_at ON answer (at);
  CREATE TABLE past (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,
    commit_no INTEGER NOT NULL,
    until INTEGER NOT NULL,
    status TEXT NOT NULL,
    body ANY NOT NULL,
    output ANY,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (run_id, until, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE trash (
    run_id TEXT PRIMARY KEY
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    next_at INTEGER,
    body TEXT NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE notice (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE sequence (
    last INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE shared (
    key TEXT PRIMARY KEY,
    body TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE history ADD COLUMN sequence INTEGER;
  UPDATE history SET sequence = numbered.n
    FROM (SELECT run_id, commit_no, row_number() OVER (ORDER BY at, commit_no, run_id) AS n FROM history) AS numbered
    WHERE history.run_id = numbered.run_id AND history.commit_no = numbered.commit_no;
  INSERT INTO sequence VALUES (0);
  CREATE INDEX history_sequence ON history (sequence);
  `,
  // Each row that workers share has the number of its last change, and is told of when it is gone (no body). Runs that are
  // nobody's are found in the order in which they should begin.
  `
  ALTER TABLE shared RENAME TO unnumbered;
  CREATE TABLE shared (
    key TEXT PRIMARY KEY,
    body TEXT,
    change_no INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO shared SELECT key, body, row_number() OVER (ORDER BY key) FROM unnumbered;
  DROP TABLE unnumbered;
  CREATE INDEX shared_change ON shared (change_no);
  CREATE INDEX shared_gone ON shared (change_no) WHERE body IS NULL;
  ALTER TABLE run ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
  UPDATE run SET rank = created_at;
  DROP INDEX run_definition_ready;
  CREATE INDEX run_definition_ready ON run (definition, suspicion, epoch, rank) WHERE finished = 0 AND wake_at IS NULL;
  `,
];
