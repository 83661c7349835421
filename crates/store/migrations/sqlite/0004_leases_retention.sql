-- Work that one process does at a time, and until when it has it.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder BLOB NOT NULL,
    until INTEGER NOT NULL
) STRICT;

CREATE INDEX answers_by_time ON answers (at);
