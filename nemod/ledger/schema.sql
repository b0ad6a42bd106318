-- The ledger's schema, version 1. Facts go from empty to filled; what must always hold is said here, not in code.
-- File names are BLOBs (os.fsencode): a name that is not UTF-8 cannot be stored as TEXT. Times are epoch seconds.

CREATE TABLE job (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,   -- never reused: people and logs refer to it
    folder_name     TEXT    NOT NULL,
    folder          TEXT    NOT NULL,                    -- snapshot of the folder and its preset, JSON
    inbox           BLOB    NOT NULL,
    relpath         BLOB    NOT NULL,
    size            INTEGER NOT NULL,
    mtime_ns        INTEGER NOT NULL,
    inode           INTEGER NOT NULL,
    present         INTEGER NOT NULL DEFAULT 1 CHECK (present IN (0, 1)),
    state           TEXT    NOT NULL DEFAULT 'queued'
                    CHECK (state IN ('queued', 'running', 'parked', 'done', 'failed', 'cancelled')),
    lane            TEXT    NOT NULL DEFAULT 'light' CHECK (lane IN ('light', 'local', 'nemo')),
    due             REAL    NOT NULL,
    rank            INTEGER NOT NULL DEFAULT 0,
    tries           INTEGER NOT NULL DEFAULT 0,
    round           INTEGER NOT NULL DEFAULT 1,          -- a person's retry opens a new one
    source          BLOB    NOT NULL,                    -- where the source lies now
    created         REAL    NOT NULL,
    started         REAL,
    finished        REAL,
    media           TEXT,
    route           TEXT,
    target          BLOB,
    delivered_bytes INTEGER,
    disposed        TEXT,
    failing         TEXT,
    quarantine      BLOB,
    quarantined     INTEGER NOT NULL DEFAULT 0 CHECK (quarantined IN (0, 1)),
    failure         TEXT,
    CHECK (state <> 'done' OR disposed IS NOT NULL),
    CHECK (disposed IS NULL OR delivered_bytes IS NOT NULL),
    CHECK (delivered_bytes IS NULL OR target IS NOT NULL),
    CHECK (state <> 'failed' OR quarantined = 1),
    CHECK (quarantined = 0 OR quarantine IS NOT NULL),
    CHECK (quarantine IS NULL OR failing IS NOT NULL)
) STRICT;

-- A file that still lies there is one job, however often it is seen.
CREATE UNIQUE INDEX job_present ON job (inbox, relpath, size, mtime_ns, inode) WHERE present;
-- Two deliveries never aim at one name; once delivered, the name is the outbox's business.
CREATE UNIQUE INDEX job_target ON job (target)
    WHERE target IS NOT NULL AND delivered_bytes IS NULL AND state IN ('queued', 'running', 'parked');
CREATE INDEX job_queue ON job (state, due);

CREATE TABLE attempt (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    job     INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    round   INTEGER NOT NULL,
    engine  TEXT    NOT NULL,
    how     TEXT    NOT NULL,
    folder  BLOB    NOT NULL,
    token   TEXT,
    staged  BLOB,
    note    TEXT    NOT NULL DEFAULT '',
    verdict TEXT,
    failure TEXT,
    opened  REAL    NOT NULL,
    closed  REAL
) STRICT;

CREATE INDEX attempt_job ON attempt (job);
CREATE UNIQUE INDEX attempt_open ON attempt (job) WHERE closed IS NULL;

-- The history, written by the database itself so that no path of the code can forget it.
CREATE TABLE job_event (
    id  INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    at  REAL    NOT NULL,
    was TEXT,
    now TEXT    NOT NULL
) STRICT;

CREATE INDEX job_event_job ON job_event (job);

CREATE TRIGGER job_created AFTER INSERT ON job BEGIN
    INSERT INTO job_event (job, at, was, now) VALUES (new.id, (julianday('now') - 2440587.5) * 86400.0, NULL, new.state);
END;

CREATE TRIGGER job_moved AFTER UPDATE OF state ON job WHEN old.state <> new.state BEGIN
    INSERT INTO job_event (job, at, was, now) VALUES (new.id, (julianday('now') - 2440587.5) * 86400.0, old.state, new.state);
END;

-- An engine or a folder that takes nothing new for a while; `until` NULL means until a person acts.
CREATE TABLE hold (
    scope   TEXT    PRIMARY KEY,                         -- 'engine:local', 'folder:clips'
    until   REAL,
    failure TEXT    NOT NULL,
    times   INTEGER NOT NULL DEFAULT 1                   -- in a row, so that the hold can grow
) STRICT;

-- The mailbox: commands write, the daemon reads; it works while the daemon is down and needs no port.
CREATE TABLE request (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    verb TEXT    NOT NULL,
    job  INTEGER,
    at   REAL    NOT NULL
) STRICT;
