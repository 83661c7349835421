-- Values are held as in SQLite: times are microseconds since 1970 in UTC, values of the domain are
-- JSON with the columns that queries need beside them. JSON is text, for jsonb knows no U+0000.
--
-- Migrations go forward only, and the previous release must work with each: columns are added with
-- a default, nothing that it uses is dropped or renamed, and a function gets a new name when its
-- parameters change.

CREATE TABLE questions (
    id text COLLATE "C" PRIMARY KEY,
    -- Position of the last change among all changes.
    revision bigint NOT NULL UNIQUE,
    subject text COLLATE "C" NOT NULL,
    skill text COLLATE "C" NOT NULL,
    level text,
    status text NOT NULL,
    -- Title, stem and tags in lower case, in UTF-8.
    search bytea NOT NULL,
    question text NOT NULL
);

CREATE INDEX questions_by_subject ON questions (subject, id);
CREATE INDEX questions_by_skill ON questions (skill, id);

CREATE TABLE analyses (
    question text COLLATE "C" PRIMARY KEY REFERENCES questions (id),
    model text NOT NULL,
    stem_hash bytea NOT NULL,
    level text NOT NULL,
    -- Little-endian 32-bit numbers.
    embedding bytea NOT NULL
);

-- At most one row.
CREATE TABLE prerequisites (
    "only" integer PRIMARY KEY CHECK ("only" = 1),
    version bigint NOT NULL,
    -- JSON: {skill: [prerequisite, ...]}
    prerequisites text NOT NULL
);

CREATE TABLE learners (
    id uuid PRIMARY KEY,
    created_at bigint NOT NULL
);

CREATE TABLE links (
    hash bytea PRIMARY KEY,
    learner uuid NOT NULL REFERENCES learners (id),
    role text NOT NULL,
    expires bigint NOT NULL
);

CREATE INDEX links_by_learner ON links (learner);

-- Sessions and states change with each answer: room in the page keeps the new version beside the
-- old one, without a new entry in any index, and values stay in the row instead of going to TOAST.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    learner uuid NOT NULL REFERENCES learners (id),
    started_at bigint NOT NULL,
    version bigint NOT NULL,
    session text NOT NULL
) WITH (fillfactor = 50, toast_tuple_target = 8160);

CREATE INDEX sessions_by_learner ON sessions (learner, started_at, id);

CREATE TABLE learner_states (
    learner uuid PRIMARY KEY REFERENCES learners (id),
    version bigint NOT NULL,
    state bytea NOT NULL
) WITH (fillfactor = 50, toast_tuple_target = 8160);

ALTER TABLE learner_states ALTER state SET STORAGE EXTERNAL;

CREATE TABLE snapshots (
    version bigint PRIMARY KEY,
    upto_sequence bigint NOT NULL,
    snapshot bytea NOT NULL
);

-- Begin with 0 used, so that all that is drawn later is greater than last_value.
CREATE SEQUENCE answers_sequence MINVALUE 0 START 0;
CREATE SEQUENCE outbox_sequence MINVALUE 0 START 0;
SELECT nextval('answers_sequence'), nextval('outbox_sequence');

-- Which answers there are, and where: an id is to be unique over all months.
CREATE TABLE answer_ids (
    id uuid PRIMARY KEY,
    learner uuid NOT NULL,
    sequence bigint NOT NULL,
    at bigint NOT NULL
);

-- One partition a month. What a row refers to is checked by commit_answers: foreign keys would
-- lock the rows of the questions that everyone answers.
CREATE TABLE answers (
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    learner uuid NOT NULL,
    session uuid NOT NULL,
    question text COLLATE "C" NOT NULL,
    skill text NOT NULL,
    response text NOT NULL,
    credit double precision NOT NULL,
    correct boolean NOT NULL,
    elapsed_ms bigint,
    at bigint NOT NULL,
    predicted double precision NOT NULL,
    propensity double precision NOT NULL,
    policy text NOT NULL,
    snapshot bigint NOT NULL,
    -- What the adaptive engine knew when the question was asked, JSON.
    context text NOT NULL,
    PRIMARY KEY (sequence, at)
) PARTITION BY RANGE (at);

CREATE INDEX answers_by_learner ON answers (learner, sequence);

-- Takes the answers of the months that have no partition.
CREATE TABLE answers_other PARTITION OF answers DEFAULT;

CREATE TABLE outbox (
    sequence bigint PRIMARY KEY,
    kind text NOT NULL,
    payload text NOT NULL,
    at bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01);

-- Gives the months from the one of `moment` on a partition each, as many as `months`.
CREATE FUNCTION prepare_answers(moment bigint, months integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    month timestamp := date_trunc('month', timestamp 'epoch' + moment * interval '1 microsecond');
    name text;
    first bigint;
    beyond bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('prepare_answers', 0));
    FOR n IN 1..months LOOP
        name := 'answers_' || to_char(month, 'YYYY_MM');
        first := extract(epoch FROM month)::bigint * 1000000;
        month := month + interval '1 month';
        beyond := extract(epoch FROM month)::bigint * 1000000;
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE answers INCLUDING ALL)', name);
        LOCK TABLE answers_other IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('INSERT INTO %I SELECT * FROM answers_other WHERE at >= %s AND at < %s',
                       name, first, beyond);
        DELETE FROM answers_other WHERE at >= first AND at < beyond;
        EXECUTE format('ALTER TABLE answers ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                       name, first, beyond);
    END LOOP;
END
$$;

-- How readers never see a sequence before a smaller one. Transactions draw sequences and commit in
-- any order. Before drawing, each takes a shared advisory lock whose key holds the last value drawn
-- so far: whatever it draws is greater. The lock goes when the transaction has become visible. So
-- up to the least key held, or the last value when none is, everything is settled. Nobody waits.
CREATE FUNCTION sequence_lock(kind integer, last bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (x'5155495a'::bigint + kind) << 32 | (last & x'ffffffff'::bigint)
$$;

CREATE FUNCTION hold_sequences() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(sequence_lock(1, last_value)) FROM answers_sequence;
    PERFORM pg_advisory_xact_lock_shared(sequence_lock(2, last_value)) FROM outbox_sequence;
END
$$;

-- The greatest sequence below which, it included, everything is settled. What is read by a later
-- statement is complete up to there.
CREATE FUNCTION settled(kind integer, last bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    -- The smallest distance of a lock from `last`; keys have 32 bits and may have wrapped.
    behind bigint;
BEGIN
    SELECT max((last - objid::bigint) & x'ffffffff'::bigint) INTO behind FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND classid::bigint = x'5155495a'::bigint + kind
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (last - objid::bigint) & x'ffffffff'::bigint < x'80000000'::bigint;
    RETURN last - coalesce(behind, 0);
END
$$;

CREATE FUNCTION answers_after(after bigint, most bigint) RETURNS SETOF answers
LANGUAGE plpgsql AS $$
DECLARE
    upto bigint := settled(1, last_value) FROM answers_sequence;
BEGIN
    RETURN QUERY SELECT * FROM answers
        WHERE sequence > after AND sequence <= upto ORDER BY sequence LIMIT most;
END
$$;

CREATE FUNCTION outbox_after(after bigint, most bigint) RETURNS SETOF outbox
LANGUAGE plpgsql AS $$
DECLARE
    upto bigint := settled(2, last_value) FROM outbox_sequence;
BEGIN
    RETURN QUERY SELECT * FROM outbox
        WHERE sequence > after AND sequence <= upto ORDER BY sequence LIMIT most;
END
$$;

-- Stores answers with their sessions, learners' states and events, and tells what became of each.
-- Everything is checked before the first write of an answer; when a row is changed between the two,
-- all is given up with serialization_failure. States come before sessions, and the caller sorts
-- by learner, so that no two transactions wait for each other.
CREATE FUNCTION commit_answers(
    ids uuid[], learners uuid[], sessions uuid[], questions text[], skills text[],
    responses text[], credits double precision[], corrects boolean[], elapsed bigint[],
    moments bigint[], predictions double precision[], propensities double precision[],
    policies text[], snapshots bigint[], contexts text[],
    session_starts bigint[], session_versions bigint[], session_values text[],
    state_versions bigint[], states bytea[],
    event_kinds text[], event_payloads text[], event_moments bigint[]
) RETURNS TABLE (status text, stored_sequence bigint) LANGUAGE plpgsql AS $$
DECLARE
    c record;
    session_version bigint;
    state_version bigint;
    owner uuid;
BEGIN
    PERFORM hold_sequences();
    FOR c IN
        SELECT * FROM unnest(
            ids, learners, sessions, questions, skills, responses, credits, corrects, elapsed,
            moments, predictions, propensities, policies, snapshots, contexts, session_starts,
            session_versions, session_values, state_versions, states, event_kinds,
            event_payloads, event_moments
        ) AS given (
            id, learner, session, question, skill, response, credit, correct, elapsed_ms,
            at, predicted, propensity, policy, snapshot, context, session_start,
            session_version, session_value, state_version, state, event_kind,
            event_payload, event_at
        )
    LOOP
        stored_sequence := NULL;
        session_version := (SELECT s.version FROM sessions s
                            WHERE s.id = c.session AND s.learner = c.learner);
        state_version := coalesce((SELECT l.version FROM learner_states l
                                   WHERE l.learner = c.learner), 0);
        -- Read after the versions: what the same answer changed meanwhile is no conflict.
        owner := (SELECT k.learner FROM answer_ids k WHERE k.id = c.id);
        status := CASE
            WHEN owner = c.learner THEN 'duplicate'
            WHEN owner IS NOT NULL THEN 'taken'
            WHEN session_version IS NULL THEN 'no session'
            WHEN (session_version + 1, state_version + 1)
                <> (c.session_version, c.state_version) THEN 'conflict'
            WHEN NOT EXISTS (SELECT FROM questions q WHERE q.id = c.question) THEN 'no question'
            ELSE 'committed'
        END;
        IF status <> 'committed' THEN
            RETURN NEXT;
            CONTINUE;
        END IF;

        IF c.state_version = 1 THEN
            INSERT INTO learner_states VALUES (c.learner, 1, c.state) ON CONFLICT DO NOTHING;
        ELSE
            UPDATE learner_states l SET version = c.state_version, state = c.state
                WHERE l.learner = c.learner AND l.version = c.state_version - 1;
        END IF;
        IF NOT FOUND THEN
            RAISE serialization_failure;
        END IF;
        UPDATE sessions s SET started_at = c.session_start, version = c.session_version,
                session = c.session_value
            WHERE s.id = c.session AND s.version = c.session_version - 1;
        IF NOT FOUND THEN
            RAISE serialization_failure;
        END IF;
        stored_sequence := nextval('answers_sequence');
        INSERT INTO answer_ids VALUES (c.id, c.learner, stored_sequence, c.at);
        INSERT INTO answers VALUES (
            stored_sequence, c.id, c.learner, c.session, c.question, c.skill, c.response,
            c.credit, c.correct, c.elapsed_ms, c.at, c.predicted, c.propensity, c.policy,
            c.snapshot, c.context);
        INSERT INTO outbox
            VALUES (nextval('outbox_sequence'), c.event_kind, c.event_payload, c.event_at);
        RETURN NEXT;
    END LOOP;
END
$$;
