-- Version 6: what is to be told when a job ends or comes to rest, and whether it has been. A wish says who wants to hear; the
-- news is written by the database itself, in the transaction that moves the job, so that no path of the code can forget it.

CREATE TABLE wish (
    folder  TEXT NOT NULL,
    event   TEXT NOT NULL CHECK (event IN ('done', 'failed', 'parked')),
    channel TEXT NOT NULL,                               -- 'hook', or which address
    PRIMARY KEY (folder, event, channel)
) STRICT;

CREATE TABLE news (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,           -- gone once it has been told
    job     INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    event   TEXT    NOT NULL,
    channel TEXT    NOT NULL,
    at      REAL    NOT NULL,
    tries   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX news_job ON news (job);

CREATE TRIGGER job_news AFTER UPDATE OF state ON job WHEN old.state <> new.state BEGIN
    INSERT INTO news (job, event, channel, at)
        SELECT new.id, new.state, channel, (julianday('now') - 2440587.5) * 86400.0 FROM wish
        WHERE folder = new.folder_name AND event = new.state ORDER BY channel;
END;

-- Which addresses have heard of a hold; a hold that goes takes this with it.
CREATE TABLE hold_told (
    scope   TEXT NOT NULL REFERENCES hold (scope) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    PRIMARY KEY (scope, channel)
) STRICT;
