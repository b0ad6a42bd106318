-- Version 2: jobs that are made in the cloud. They wait there, cost credits, go on in the session of another job, and may be
-- finished on this machine from what the cloud has made.

ALTER TABLE job ADD COLUMN parent INTEGER REFERENCES job (id) ON DELETE SET NULL;   -- whose session `nemod ask` goes on in
ALTER TABLE job ADD COLUMN instruction TEXT;                                        -- a person's own words for this file
ALTER TABLE job ADD COLUMN session_key TEXT;                                        -- jobs of one key share a session, one by one
ALTER TABLE job ADD COLUMN polling INTEGER NOT NULL DEFAULT 0 CHECK (polling IN (0, 1));
ALTER TABLE job ADD COLUMN pays INTEGER NOT NULL DEFAULT 1;                         -- sessions of earlier rounds are forgotten
CREATE INDEX job_session ON job (session_key) WHERE session_key IS NOT NULL;

ALTER TABLE attempt ADD COLUMN material BLOB;                                       -- made from this file, not from the source
ALTER TABLE attempt ADD COLUMN inherited INTEGER;                                   -- whose token it has, before any of its own

ALTER TABLE hold ADD COLUMN since REAL NOT NULL DEFAULT 0;                          -- the first of the times in a row
ALTER TABLE request ADD COLUMN text TEXT;

-- What was paid, or may have been: written before the message leaves, its cost once the balance has told it.
CREATE TABLE spending (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    job      INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    attempt  INTEGER NOT NULL REFERENCES attempt (id) ON DELETE CASCADE,
    at       REAL    NOT NULL,
    expected REAL    NOT NULL,
    cost     REAL
) STRICT;

CREATE INDEX spending_at ON spending (at);
CREATE INDEX spending_attempt ON spending (attempt);
CREATE INDEX spending_job ON spending (job);

-- Who is, or will be, at work in the cloud, with the newest of its tries that have a session there, or may have one.
CREATE VIEW cloud (id, session_key, running, attempt) AS
    SELECT job.id, job.session_key, job.state = 'running', (
        SELECT MAX(attempt.id) FROM attempt
        WHERE attempt.job = job.id AND attempt.round = job.round AND attempt.engine = 'nemo' AND attempt.token IS NOT NULL
    )
    FROM job WHERE job.lane = 'nemo' AND job.state IN ('queued', 'running');
