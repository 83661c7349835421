-- Identifiers made by the system are 16-byte UUIDs, times are microseconds since 1970 in UTC,
-- values of the domain are JSON with the columns that queries need beside them.

CREATE TABLE questions (
    id TEXT NOT NULL PRIMARY KEY,
    -- Position of the last change among all changes.
    revision INTEGER NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    skill TEXT NOT NULL,
    level TEXT,
    status TEXT NOT NULL,
    -- Title, stem and tags in lower case.
    search TEXT NOT NULL,
    question TEXT NOT NULL
) STRICT;

CREATE INDEX questions_by_subject ON questions (subject, id);
CREATE INDEX questions_by_skill ON questions (skill, id);

CREATE TABLE analyses (
    question TEXT NOT NULL PRIMARY KEY REFERENCES questions (id),
    model TEXT NOT NULL,
    stem_hash BLOB NOT NULL,
    level TEXT NOT NULL,
    -- Little-endian 32-bit numbers.
    embedding BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE learners (
    id BLOB NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE links (
    hash BLOB NOT NULL PRIMARY KEY,
    learner BLOB NOT NULL REFERENCES learners (id),
    role TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY,
    learner BLOB NOT NULL REFERENCES learners (id),
    started_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    session TEXT NOT NULL
) STRICT;

CREATE INDEX sessions_by_learner ON sessions (learner, started_at, id);

CREATE TABLE answers (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    learner BLOB NOT NULL REFERENCES learners (id),
    session BLOB NOT NULL REFERENCES sessions (id),
    question TEXT NOT NULL REFERENCES questions (id),
    skill TEXT NOT NULL,
    response TEXT NOT NULL,
    credit REAL NOT NULL,
    correct INTEGER NOT NULL,
    elapsed_ms INTEGER,
    at INTEGER NOT NULL,
    predicted REAL NOT NULL,
    propensity REAL NOT NULL,
    policy TEXT NOT NULL,
    snapshot INTEGER NOT NULL
) STRICT;

CREATE INDEX answers_by_learner ON answers (learner, sequence);

CREATE TABLE learner_states (
    learner BLOB NOT NULL PRIMARY KEY REFERENCES learners (id),
    version INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT;

CREATE TABLE snapshots (
    version INTEGER PRIMARY KEY,
    upto_sequence INTEGER NOT NULL,
    snapshot BLOB NOT NULL
) STRICT;

CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
