-- Version 4: which drive a place lay on when it was last seen, so that a bare mount point is not taken for it.

CREATE TABLE drive (
    place       BLOB PRIMARY KEY,                        -- an inbox, an outbox, a folder for originals or failures
    mount_point BLOB NOT NULL
) STRICT;
