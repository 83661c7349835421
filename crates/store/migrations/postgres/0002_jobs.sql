CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    payload text NOT NULL,
    learner uuid,
    -- When it may be begun; while it is leased, the end of the lease.
    due bigint NOT NULL,
    attempts bigint NOT NULL,
    error text,
    -- Given up; waits for someone to revive it.
    dead boolean NOT NULL
);

CREATE INDEX jobs_by_due ON jobs (due) WHERE NOT dead;
CREATE INDEX jobs_by_learner ON jobs (learner);
