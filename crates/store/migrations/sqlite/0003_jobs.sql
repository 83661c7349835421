CREATE TABLE jobs (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    learner BLOB,
    -- When it may be begun; while it is leased, the end of the lease.
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT,
    -- Given up; waits for someone to revive it.
    dead INTEGER NOT NULL
) STRICT;

CREATE INDEX jobs_by_due ON jobs (due) WHERE NOT dead;
CREATE INDEX jobs_by_learner ON jobs (learner);
CREATE INDEX links_by_learner ON links (learner);
