#!/usr/bin/env bash
# Takes the machine back to the system it had before a switch unless it comes healthy and the
# operator confirms: a machine that locked its operators out helps itself.
#
#   quizmentor-guard arm NEW-SYSTEM ACTION   before a switch, by its pre-switch check
#   quizmentor-guard resume                  at boot: goes on with a trial that was cut off
#   quizmentor-guard watch                   waits for the verdict and carries it out
#   quizmentor-guard status                  tells what is awaited; exit status 1 if something is
#   quizmentor-guard confirm                 keeps the new system, once it is healthy
#   quizmentor-guard disarm                  keeps the new system, healthy or not
#   quizmentor-guard revert                  goes back at once
set -euo pipefail

profile=/nix/var/nix/profiles/system
state=/var/lib/quizmentor-guard
# JSON: { window, patience, confirmation, checks: [ shell command… ] }.
settings=/etc/quizmentor/guard.json
# Keeps the system to go back to from being collected as garbage.
root=/nix/var/nix/gcroots/quizmentor-guard

say() { echo "guard: $*"; }
fail() {
    echo "guard: $*" >&2
    exit 1
}

setting() { jq --raw-output ".$1" "${2-$settings}"; }
pending() { [[ -s $state/previous ]]; }

# The system in a directory whose link may be a chain.
system_of() { readlink --canonicalize-existing "$1"; }

# The watch is a unit that no system's configuration knows, so no switch ends it.
start_watch() {
    systemd-run --quiet --collect --unit=quizmentor-guard-watch \
        --description='Watch over an unconfirmed system' "$0" watch
}

resume() {
    ! pending || systemctl --quiet is-active quizmentor-guard-watch.service || start_watch
}

# arm NEW ACTION: remembers the present system and begins to watch; from here on doing nothing
# leads back.
arm() {
    local new=$1 previous
    [[ $2 == switch || $2 == test ]] || return 0
    [[ ! -e $state/reverting ]] || return 0
    previous=$(cat "$state/previous" 2>/dev/null || system_of /run/current-system)
    if [[ $new == "$previous" ]]; then
        ! pending || keep 'the operator goes back'
        return
    fi
    mkdir --parents "$state"
    # After two switches without a confirmation the way leads back to what was last confirmed.
    ln --symbolic --force --no-dereference "$previous" "$root"
    echo "$previous" >"$state/previous"
    rm --force "$state/confirmed"
    echo "$new" >"$state/new"
    cp --no-preserve=mode "$new$settings" "$state/settings.json"
    systemctl stop quizmentor-guard-watch.service 2>/dev/null || true
    start_watch
    say "$new is on trial; without confirmation the machine goes back to $(<"$state/previous")"
}

# Whether all checks of the new system pass; tells which does not.
healthy() {
    local check
    while read -r check; do
        if ! timeout 10 bash -c "$check" >/dev/null 2>&1; then
            unhealthy=$check
            return 1
        fi
    done < <(setting 'checks[]' "$state/settings.json")
}

# Keeps the new system.
keep() {
    rm --force "$root" "$state"/{previous,new,confirmed,settings.json}
    say "kept: $1"
}

# Waits until the health window is over, then for the confirmation; goes back when health or
# confirmation is missing. After a restart of the machine all times begin anew.
watch() {
    local window patience confirmation failures=0 unhealthy=
    if [[ -e $state/reverting ]]; then
        revert 'the way back was cut off'
        return
    fi
    window=$(setting window "$state/settings.json")
    patience=$(setting patience "$state/settings.json")
    confirmation=$(setting confirmation "$state/settings.json")
    while pending; do
        if healthy; then
            failures=0
            if [[ -e $state/confirmed ]]; then
                keep 'healthy and confirmed'
                return
            elif [[ $confirmation == automatic ]] && ((SECONDS >= window)); then
                keep 'healthy; no confirmation is asked for'
                return
            fi
        elif ((SECONDS >= window)) && ((++failures >= 3)); then
            revert "not healthy: $unhealthy"
            return
        fi
        if ((SECONDS >= window + patience)); then
            revert 'not confirmed in time'
            return
        fi
        sleep 1
    done
}

# The number of the profile's latest generation that is the system.
generation_of() {
    local link
    while read -r link; do
        if [[ $(system_of "$link") == "$1" ]]; then
            basename "$link" | sed --quiet 's/^system-\([0-9]*\)-link$/\1/p'
            return
        fi
    done < <(find "$(dirname "$profile")" -maxdepth 1 -name 'system-*-link' | sort --version-sort --reverse)
}

# Makes the previous system that of the profile again, so that the boot menu begins with it.
set_profile() {
    local generation
    [[ $(system_of "$profile") != "$1" ]] || return 0
    generation=$(generation_of "$1")
    if [[ -n $generation ]]; then
        nix-env --profile "$profile" --switch-generation "$generation"
    else
        nix-env --profile "$profile" --set "$1"
    fi
}

# Goes back: profile, boot entry, running system. A switch that still runs is waited for.
revert() {
    local previous attempt
    previous=$(<"$state/previous")
    say "going back to $previous: $1" >&2
    touch "$state/reverting"
    set_profile "$previous"
    for attempt in 1 2 3 4 5 6; do
        "$previous/bin/switch-to-configuration" switch && break
        # 4: all is switched, but a unit failed; that is no reason to switch again.
        [[ $? != 4 ]] || break
        say "attempt $attempt to go back failed" >&2
        sleep 5
    done
    printf '%s %s\n' "$(date --utc --iso-8601=seconds)" "$1" >>"$state/reverts"
    rm --force "$root" "$state"/{previous,new,confirmed,settings.json,reverting}
}

status() {
    if pending; then
        say "$(<"$state/new") is on trial; the way back leads to $(<"$state/previous")"
        exit 1
    fi
    say 'nothing is on trial'
}

confirm() {
    pending || fail 'nothing is on trial'
    touch "$state/confirmed"
    for _ in $(seq 600); do
        if ! pending; then
            [[ $(system_of /run/current-system) != "$previous" ]] || fail 'the machine went back'
            say 'the new system is kept'
            return
        fi
        sleep 1
    done
    fail 'the machine does not come healthy'
}

case ${1-} in
arm) arm "$2" "$3" ;;
resume) resume ;;
watch) watch ;;
status) status ;;
confirm)
    previous=$(cat "$state/previous" 2>/dev/null || true)
    confirm
    ;;
disarm) keep 'by the operator' ;;
revert)
    pending || fail 'nothing is on trial'
    revert 'by the operator'
    ;;
*) fail "unknown command ${1-}; known are status, confirm, disarm and revert" ;;
esac
