-- What the adaptive engine knew when the question was asked, JSON.
ALTER TABLE answers ADD COLUMN context TEXT NOT NULL DEFAULT 'null';

-- At most one row.
CREATE TABLE prerequisites (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    version INTEGER NOT NULL,
    -- JSON: {skill: [prerequisite, ...]}
    prerequisites TEXT NOT NULL
) STRICT;
