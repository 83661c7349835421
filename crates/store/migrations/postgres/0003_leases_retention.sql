-- Work that one process does at a time, and until when it has it.
CREATE TABLE leases (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    until bigint NOT NULL
);

-- The ids lie in the order of their times: a few ranges of blocks hold those of a month.
CREATE INDEX answer_ids_by_time ON answer_ids USING brin (at);

-- Where the month of `moment` begins.
CREATE FUNCTION month_of(moment bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT extract(epoch FROM date_trunc('month',
        timestamp 'epoch' + moment * interval '1 microsecond'))::bigint * 1000000
$$;

-- Drops the partitions of the months that had ended at `before`, and what answers_other has of such
-- months.
CREATE FUNCTION drop_answers(before bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_kept text := to_char(
        timestamp 'epoch' + before * interval '1 microsecond', '"answers_"YYYY_MM');
    name text;
BEGIN
    FOR name IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'answers'::regclass
            AND relname ~ '^answers_[0-9]{4}_[0-9]{2}$'
            AND relname::text COLLATE "C" < first_kept COLLATE "C"
    LOOP
        EXECUTE format('DROP TABLE %I', name);
    END LOOP;
    DELETE FROM answers_other WHERE at < month_of(before);
END
$$;
