-- Version 7: originals that lie in nemod's own trash for a while, and the time that they have lain there.

-- An older nemod need know nothing of it: what lies in the trash then lies there longer.

-- Time is counted, not read from a clock: what passes between two looks counts for a day at the most.
CREATE TABLE counted (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    seconds REAL    NOT NULL,
    seen    REAL    NOT NULL                             -- epoch seconds of the last look
) STRICT;

CREATE TABLE retained (
    job      INTEGER PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
    file     BLOB    NOT NULL,                           -- where it was put, and which file it was there
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode    INTEGER NOT NULL,                           -- 0: its disk keeps none
    since    REAL    NOT NULL,                           -- of the counted seconds
    keep_s   REAL,                                       -- how long it is to lie; NULL: until the disk needs room, or for ever
    fate     TEXT                                        -- NULL: it lies there; else removed, gone or changed
) STRICT;

CREATE INDEX retained_here ON retained (since) WHERE fate IS NULL;
