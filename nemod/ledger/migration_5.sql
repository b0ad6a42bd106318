-- Version 5: folders that begin nothing new for a while, paused by a person or outside their hours.

CREATE TABLE pause (
    folder TEXT NOT NULL,                                -- '' means every folder
    why    TEXT NOT NULL CHECK (why IN ('asked', 'hours')),
    until  REAL,                                         -- epoch seconds; empty: until a person says so
    since  REAL NOT NULL,
    PRIMARY KEY (folder, why)
) STRICT;
