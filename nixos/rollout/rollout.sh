#!/usr/bin/env bash
# Brings this host to the releases that its configuration names, all of them or none.
#
# An instance has two slots, blue and green; one of them serves. A new release is started in the
# other one, tried through the front door, given the traffic, and only then the old slot is
# drained and stopped. Until the traffic moves, the old slot is not touched; if anything fails the
# new slots are stopped and the exit status is 1.
#
#   quizmentor-rollout            rolls out what is not yet served; at boot, starts what was
#   quizmentor-rollout status     tells which slot serves which release
set -euo pipefail

# JSON: instance -> { release, roles, credentials: [ path… ] }.
instances=/etc/quizmentor/instances.json
# One link a slot, to its release; they also keep the releases from being collected as garbage.
slots=/nix/var/nix/gcroots/quizmentor
state=/var/lib/quizmentor-rollout
# Instance and the backend that serves it, a line each; the front door reads it when it starts.
map=$state/slots.map
admin=/run/haproxy/admin.sock
smoke=/run/haproxy/smoke.sock
# Seconds that a new slot may take to pass its smoke test after it said that it is ready.
smoke_patience=5
# Seconds that requests may take to leave an old slot before it is told to stop; it then has its
# own drain time-out.
drain_patience=25
# Seconds that the first start of all may take.
first_patience=120

say() { echo "rollout: $*"; }
fail() {
    echo "rollout: $*" >&2
    exit 1
}

field() { jq --raw-output --arg instance "$1" ".[\$instance].$2" "$instances"; }

# The colour that serves the instance; none before its first rollout.
active() { sed --quiet "s/^$1 $1-\(blue\|green\)\$/\1/p" "$map"; }

# The colour that is free for the instance's next release.
idle() { if [[ $(active "$1") == blue ]]; then echo green; else echo blue; fi; }

units() { printf 'quizmentor-%s.socket quizmentor-%s.service' "$1" "$1"; }

# What a slot of the instance would run now: the release, and the content of its credentials.
fingerprint() {
    local release credentials
    release=$(field "$1" release)
    mapfile -t credentials < <(field "$1" 'credentials[]')
    { echo "$release" && cat /dev/null "${credentials[@]}"; } | sha256sum | cut --delimiter=' ' --fields=1
}

# Whether the slot has what the configuration names for the instance. It may not be up yet, as when
# the whole fleet starts and its database comes last; then systemd tries on.
is_current() {
    [[ $(cat "$state/$2.fingerprint" 2>/dev/null) == "$(fingerprint "$1")" ]]
}

haproxy() {
    local answer
    answer=$(socat -t5 - "unix-connect:$admin" <<<"$1") || fail "the front door does not answer"
    echo "$answer"
}

# At boot the front door may still be on its way.
await_front_door() {
    local deadline=$((SECONDS + 15))
    until [[ -S $admin && -S $smoke ]]; do
        ((SECONDS < deadline)) || fail 'the front door is not there'
        sleep 0.2
    done
}

# Writes the map with the instances' new backends, for the next start and for the running front
# door, which takes it over as one.
move() {
    local line instance backend version
    sort <<<"$1" >"$map.new"
    sync "$map.new"
    mv "$map.new" "$map"
    version=$(haproxy "prepare map $map" | sed --quiet 's/^New version created: //p')
    [[ -n $version ]] || fail "the front door does not know $map"
    while read -r instance backend; do
        line=$(haproxy "add map @$version $map $instance $backend")
        [[ -z $line ]] || fail "the front door refuses $instance $backend: $line"
    done <"$map"
    haproxy "commit map @$version $map" >/dev/null
}

# ask SLOT PATH [CURL ARGUMENT…]: a request through the front door to the given slot.
ask() {
    local slot=$1 path=$2
    shift 2
    curl --silent --show-error --fail --max-time 5 --unix-socket "$smoke" \
        --header "x-quizmentor-slot: $slot" --header 'content-type: application/json' \
        "$@" "http://quizmentor$path"
}

token() { ask "$1" /v1/auth/guest --request POST | jq --exit-status --raw-output .token; }

# A learner signs in, begins to practise and gets a question.
smoke_adaptive() {
    local token session
    token=$(token "$1") || return
    session=$(ask "$1" /v1/sessions --header "authorization: Bearer $token" --data '{}') || return
    jq --exit-status '.next.question.id' <<<"$session" >/dev/null || return
    session=$(jq --raw-output .id <<<"$session")
    ask "$1" "/v1/sessions/$session/end" --header "authorization: Bearer $token" --request POST \
        >/dev/null
}

# The bank lists its subjects.
smoke_bank() { ask "$1" /v1/subjects | jq --exit-status '.subjects | length > 0' >/dev/null; }

# Classifying needs a token, which only the adaptive role gives; that it is asked for one shows
# that the route is there.
smoke_bloom() {
    local status
    status=$(curl --silent --max-time 5 --unix-socket "$smoke" --output /dev/null \
        --header "x-quizmentor-slot: $1" --header 'content-type: application/json' \
        --data '{"texts": ["Define osmosis."]}' --write-out '%{http_code}' \
        http://quizmentor/v1/bloom/classify)
    [[ $status == 401 ]]
}

smoke_web() { ask "$1" / | grep --quiet QuizMentor; }

# Background work is proved by readiness.
smoke_jobs() { :; }

smoke_test() {
    local instance=$1 slot=$2 role deadline=$((SECONDS + smoke_patience))
    until ask "$slot" /readyz >/dev/null; do
        ((SECONDS < deadline)) || fail "$slot is not ready"
        sleep 0.2
    done
    for role in $(field "$instance" 'roles[]'); do
        "smoke_$role" "$slot" || fail "$slot fails its smoke test of the role $role"
    done
}

# Requests that the front door has under way at a slot.
in_flight() {
    haproxy 'show stat' | awk -F, -v slot="$1" '$1 == slot && $2 == "BACKEND" { print $5 }'
}

# After a reload of its settings the front door's old process lives on for its last connections,
# and knows nothing of a later move.
old_front_doors() {
    local main
    main=$(systemctl show --property=MainPID --value haproxy.service)
    [[ $(pgrep --count --parent "$main" || true) -gt 1 ]]
}

drain() {
    local slot=$1 deadline=$((SECONDS + drain_patience))
    while [[ $(in_flight "$slot") -gt 0 ]] || old_front_doors; do
        if ((SECONDS >= deadline)); then
            say "$slot still has $(in_flight "$slot") requests; it is stopped all the same"
            break
        fi
        sleep 0.5
    done
}

# stop SLOT…: all at once, each after its own last request.
stop() {
    local slot stopping=()
    for slot; do
        read -ra stopping <<<"${stopping[*]-} $(units "$slot")"
    done
    systemctl stop "${stopping[@]}"
    systemctl reset-failed "${stopping[@]}" 2>/dev/null || true
}

# Starts what served before the machine went down; the rollout proper sees to what has changed.
resume() {
    local instance slot starting=()
    for instance in $(jq --raw-output 'keys[]' "$instances"); do
        slot=$(active "$instance")
        if [[ -n $slot ]] && ! systemctl --quiet is-active "quizmentor-$instance-$slot.service"; then
            read -ra starting <<<"${starting[*]-} $(units "$instance-$slot")"
        fi
    done
    ((${#starting[@]} == 0)) || systemctl start "${starting[@]}" ||
        say "what served before does not start"
}

# Puts the instance's release into the slot; nothing runs there yet.
assign() {
    local instance=$1 slot=$2 release
    release=$(field "$instance" release)
    "$release/bin/quizmentor" config check "$release/quizmentor.toml" >/dev/null ||
        fail "the settings of $instance have mistakes"
    ln --symbolic --force --no-dereference "$release" "$slots/$slot"
    fingerprint "$instance" >"$state/$slot.fingerprint"
}

abandon() {
    local slot
    trap - EXIT
    say 'failed; the new slots are stopped, what served before goes on'
    for slot in "${new[@]}"; do
        rm --force "$state/$slot.fingerprint"
    done
    stop "${new[@]}"
}

# Starts the new slots and tries them, while the old ones serve; one after the other, for a start
# takes a processor for a while, and the machine has learners to answer.
try_new() {
    local instance slot starting
    say "starting ${new[*]}"
    for slot in "${new[@]}"; do
        read -ra starting <<<"$(units "$slot")"
        systemctl start "${starting[@]}" || fail 'a new slot does not start'
    done
    for instance in "${changed[@]}"; do
        smoke_test "$instance" "$instance-$(idle "$instance")"
    done
}

# Where nothing serves yet, there is time to wait for what the new slots need.
prepare() {
    local instance
    stop "${new[@]}"
    for instance in "${changed[@]}"; do
        assign "$instance" "$instance-$(idle "$instance")"
    done
    until (try_new); do
        ((${#old[@]} == 0 && SECONDS < first_patience)) || exit 1
        sleep 1
    done
}

# The map with the changed instances at their idle slots, and without those that are gone.
next_map() {
    local instance slot
    for instance in $(jq --raw-output 'keys[]' "$instances"); do
        slot=$(active "$instance")
        [[ " ${changed[*]} " != *" $instance "* ]] || slot=$(idle "$instance")
        echo "$instance $instance-$slot"
    done
}

roll_out() {
    local instance slot
    changed=() new=() old=()
    for instance in $(jq --raw-output 'keys[]' "$instances"); do
        slot=$(active "$instance")
        if [[ -z $slot ]] || ! is_current "$instance" "$instance-$slot"; then
            changed+=("$instance")
            new+=("$instance-$(idle "$instance")")
            old+=(${slot:+"$instance-$slot"})
        fi
    done
    if ((${#changed[@]} == 0)); then
        say 'everything is served as configured'
        return
    fi
    trap abandon EXIT
    prepare
    move "$(next_map)"
    trap - EXIT
    say "serving from ${new[*]}"
    if ((${#old[@]} > 0)); then
        for slot in "${old[@]}"; do
            drain "$slot"
        done
        stop "${old[@]}"
        say "stopped ${old[*]}"
    fi
}

status() {
    local instance slot
    for instance in $(jq --raw-output 'keys[]' "$instances"); do
        slot=$(active "$instance")
        printf '%s\t%s\t%s\t%s\n' "$instance" "${slot:-none}" \
            "$(systemctl is-active "quizmentor-$instance-$slot.service" || true)" \
            "$(readlink "$slots/$instance-$slot" || true)"
    done
}

case ${1-} in
'')
    install --directory "$slots"
    touch "$map"
    resume
    await_front_door
    roll_out
    ;;
status) status ;;
*) fail "unknown command $1" ;;
esac
