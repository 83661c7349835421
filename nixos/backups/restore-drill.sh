# As the user postgres: fetches the newest off-site copy, starts a server on it that speaks to nobody,
# and looks whether the rows are there: no answer may be without its learner.
scratch=$STATE_DIRECTORY/scratch
socket=$STATE_DIRECTORY/socket
stop() { [ ! -e "$scratch/data/postmaster.pid" ] || pg_ctl --pgdata="$scratch/data" --mode=immediate stop; }
trap 'stop; rm --recursive --force "$scratch" "$socket"' EXIT

rm --recursive --force "$scratch" "$socket"
mkdir --mode=0700 "$scratch" "$socket"
set -a
# shellcheck source=/dev/null
. "$CREDENTIALS_DIRECTORY/environment"
set +a
export RESTIC_PASSWORD_FILE=$CREDENTIALS_DIRECTORY/password
export RESTIC_REPOSITORY_FILE=$CREDENTIALS_DIRECTORY/repository
export RESTIC_CACHE_DIR=$STATE_DIRECTORY/cache
restic restore latest --host="$(cat /proc/sys/kernel/hostname)" --target="$scratch/copy" \
    --include="$DIRECTORY/base" --include="$DIRECTORY/wal"

quizmentor-records restore --from "$scratch/copy$DIRECTORY" "$scratch/data"
pg_ctl --pgdata="$scratch/data" --wait --timeout=3600 --log="$scratch/log" \
    --options="-c listen_addresses='' -c unix_socket_directories='$socket' -c shared_buffers=64MB" start ||
    { cat "$scratch/log"; exit 1; }

ask() { psql --host="$socket" --dbname=quizmentor --no-psqlrc --tuples-only --no-align --set=ON_ERROR_STOP=1 --command="$1"; }
tables=$(ask "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace")
learners=$(ask 'SELECT count(*) FROM learners')
answers=$(ask 'SELECT count(*) FROM answers')
orphans=$(ask 'SELECT count(*) FROM answers a WHERE NOT EXISTS (SELECT FROM learners WHERE learners.id = a.learner)')
echo "restored: $tables tables, $learners learners, $answers answers, $orphans answers without a learner"
[ "$tables" -gt 0 ] && [ "$learners" -gt 0 ] && [ "$orphans" -eq 0 ]

# Every page of every table is read and its checksum with it.
pg_dump --host="$socket" --dbname=quizmentor >/dev/null
done_at restore-drill
