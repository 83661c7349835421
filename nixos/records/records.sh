# The records' operator: quizmentor-records COMMAND, as root on a node of the records.
#
#   status              role, timeline, and how far the standbys are behind
#   promote [--force]   makes this standby the primary
#   rebuild             replaces this node's data by a copy of the primary's
#   backup              makes a base backup
#   restore [--from COPY] DIR [TIME]
#                       puts the newest base backup and the WAL since then, up to TIME, into DIR;
#                       COPY is a directory of backups (with base and wal), by default this node's
#
# Units use three more: join (before the server starts), set-up (passwords and slots) and answer-role
# (an HTTP answer on a socket).

# The server knows root as its operator, too.
sql() {
    psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres "$@"
}

fail() {
    echo "quizmentor-records: $*" >&2
    exit 1
}

in_recovery() { [ "$(sql --command='SELECT pg_is_in_recovery()')" = t ]; }

# A primary's timeline is that of the WAL it writes: its control file tells of the new one only after
# the first checkpoint since its promotion.
written_timeline="('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"

# Seconds that a peer has to say what it is.
peer_patience=2

# What the peers say of themselves, a line each: "primary TIMELINE ADDRESS" or "standby ADDRESS".
peers_say() {
    local peer said
    for peer in $PEERS; do
        said=$(curl --silent --max-time "$peer_patience" "http://$peer:$ROLE_PORT/own") || continue
        echo "$said $peer"
    done
}

# Timeline and address of the newest other primary; fails when there is none.
other_primary() {
    peers_say | sed -n 's/^primary //p' | sort --numeric-sort | tail --lines=1 | grep .
}

# Answers one HTTP request. /own tells what this server is; /primary is 200 only on the primary
# with the newest timeline, so that an old primary that comes back gets no connections.
answer_role() {
    local line header path own other
    read -r -t 2 line || exit 0
    # To its end, or the connection is reset before the answer is read.
    while read -r -t 2 header && [ "${header%$'\r'}" != '' ]; do :; done
    path=$(cut --delimiter=' ' --fields=2 <<<"$line")
    own=$(sql --command="SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary ' || $written_timeline END")
    if [ "$path" = /primary ] && [ "$own" != standby ] && other=$(other_primary) &&
        [ "${other% *}" -gt "${own#primary }" ]; then
        own="superseded by timeline ${other% *}"
    fi
    case $own in
    primary*) printf 'HTTP/1.0 200 OK\r\n' ;;
    *) printf 'HTTP/1.0 503 Service Unavailable\r\n' ;;
    esac
    printf 'Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\n' $((${#own} + 1)) "$own"
}

# What this node begins as. Without data: as a copy of the primary, or as the first primary of all.
# A former primary whose place another node has taken becomes a standby, which writes nothing.
join() {
    local other peer_patience=10
    umask 0077
    printf '*:*:*:replication:%s\n' "$(cat "$CREDENTIALS_DIRECTORY/replication-password")" >"$PASSFILE"
    if [ -e "$PGDATA/standby.signal" ]; then
        return
    elif [ ! -e "$PGDATA/PG_VERSION" ]; then
        if other=$(other_primary); then
            copy "${other#* }"
        elif [ "$BEGINS" = standby ]; then
            fail 'there is no primary yet to be copied'
        elif peers_say | grep --quiet '^standby'; then
            fail 'a standby has the records and this node has none: promote the standby first'
        fi
    elif other=$(other_primary) && [ "${other% *}" -gt "$(checkpoint_timeline)" ]; then
        touch "$PGDATA/standby.signal"
        echo "another node is the primary on timeline ${other% *}: this one follows it; if it cannot: quizmentor-records rebuild"
    fi
}

checkpoint_timeline() {
    pg_controldata "$PGDATA" | sed -n "s/^Latest checkpoint's TimeLineID: *//p"
}

# copy ADDRESS: this node's data, as a copy of the primary's.
copy() {
    PGPASSFILE=$PASSFILE pg_basebackup --host="$1" --port="$PRIMARY_PORT" --username=replication \
        --pgdata="$PGDATA" --wal-method=stream --checkpoint=fast --slot="$OWN_SLOT"
    touch "$PGDATA/standby.signal"
}

# Passwords are read by psql itself, so that they are in no command line and in no log.
set_up() {
    local role
    if in_recovery; then return; fi
    for role in quizmentor unleash replication; do
        sql <<SQL
SET log_statement = 'none';
SET log_min_duration_statement = -1;
\set password \`cat "$CREDENTIALS_DIRECTORY/$role"\`
ALTER ROLE "$role" PASSWORD :'password';
SQL
    done
    sql --command='GRANT pg_monitor TO "postgres-exporter"'
    make_slots
}

# The slots that standbys of this node follow it by.
make_slots() {
    local slot
    for slot in $SLOTS; do
        sql --command="SELECT pg_create_physical_replication_slot('$slot')
            WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '$slot')"
    done
}

status() {
    if in_recovery; then
        sql --command="SELECT concat('standby, timeline ', timeline_id, ', replayed ', pg_last_wal_replay_lsn(),
            ', last transaction ', coalesce(pg_last_xact_replay_timestamp()::text, 'none seen'))
            FROM pg_control_checkpoint()"
    else
        sql --command="SELECT concat('primary, timeline ', $written_timeline, ', wrote ', pg_current_wal_lsn())"
        sql --command="SELECT 'standby ' || application_name || ' ' || state || ', behind ' ||
            pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)) FROM pg_stat_replication"
    fi
}

promote() {
    in_recovery || fail 'this node is the primary already'
    if [ "${1-}" != --force ] && other_primary >/dev/null; then
        fail 'the primary still answers; stop it first (systemctl stop postgresql there), or say --force'
    fi
    sql --command='SELECT pg_promote(true, 60)' | grep --quiet t || fail 'the promotion did not end within 60 s'
    make_slots
    echo "promoted: $(status)"
    echo 'Now exchange the roles records and records-standby in hosts/fleet.nix and switch both nodes.'
}

rebuild() {
    other_primary >/dev/null || fail 'no other node is a primary: this node may hold the only copy'
    systemctl stop postgresql.service
    local kept
    kept=$PGDATA.$(date --utc +%Y%m%dT%H%M%S)
    mv "$PGDATA" "$kept"
    systemctl start postgresql.service
    echo "rebuilt; the former data are in $kept"
}

backup() {
    local name
    name=$(date --utc +%Y%m%dT%H%M%SZ)
    pg_basebackup --pgdata="$BASE_BACKUPS/.$name" --format=tar --compress=client-zstd:3 --wal-method=none \
        --checkpoint=fast --label="$name" --manifest-checksums=SHA256 --no-password
    sync --file-system "$BASE_BACKUPS/.$name"
    mv "$BASE_BACKUPS/.$name" "$BASE_BACKUPS/$name"
    prune
}

# Keeps seven base backups and the WAL that the oldest of them needs.
prune() {
    local oldest label first
    find "$BASE_BACKUPS" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' | sort --reverse | tail --lines=+8 |
        while read -r label; do rm --recursive --force "${BASE_BACKUPS:?}/$label"; done
    oldest=$(find "$BASE_BACKUPS" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' | sort | head --lines=1)
    first=$(tar --extract --to-stdout --zstd --file="$BASE_BACKUPS/$oldest/base.tar.zst" backup_label |
        sed -n 's/^START WAL LOCATION: .*(file \(.*\))$/\1/p')
    [ -n "$first" ] || fail "no start of WAL in the base backup $oldest"
    pg_archivecleanup -x .zst "$ARCHIVE" "$first"
}

# restore [--from COPY] DIR [TIME]: a data directory, ready to be started, that recovers to TIME, or to the end of
# the archive.
restore() {
    local directory time newest
    if [ "${1-}" = --from ]; then
        BASE_BACKUPS=${2:?a directory of backups}/base ARCHIVE=$2/wal
        shift 2
    fi
    directory=${1:?a directory that does not exist yet} time=${2-}
    newest=$(find "$BASE_BACKUPS" -mindepth 1 -maxdepth 1 -name '2*' -printf '%f\n' | sort |
        { if [ -n "$time" ]; then
            awk -v limit="$(date --utc --date="$time" +%Y%m%dT%H%M%SZ)" '$0 <= limit'
        else cat; fi; } | tail --lines=1)
    [ -n "$newest" ] || fail "no base backup${time:+ from before $time} in $BASE_BACKUPS"
    mkdir --mode=0700 "$directory"
    tar --extract --zstd --file="$BASE_BACKUPS/$newest/base.tar.zst" --directory="$directory"
    rm --force "$directory/postgresql.conf" "$directory/standby.signal" "$directory/postgresql.auto.conf"
    cat >"$directory/postgresql.conf" <<CONF
restore_command = '$(command -v zstd) -dcq "$ARCHIVE/%f.zst" > "%p"'
recovery_target_action = promote
archive_mode = off
CONF
    if [ -n "$time" ]; then
        printf "recovery_target_time = '%s'\n" "$time" >>"$directory/postgresql.conf"
    fi
    touch "$directory/recovery.signal"
    echo "base backup $newest is in $directory"
}

case ${1-} in
status) status ;;
promote) promote "${2-}" ;;
rebuild) rebuild ;;
backup) backup ;;
restore) restore "${@:2}" ;;
join) join ;;
set-up) set_up ;;
answer-role) answer_role ;;
*) fail 'usage: quizmentor-records status | promote [--force] | rebuild | backup | restore [--from COPY] DIR [TIME]' ;;
esac
