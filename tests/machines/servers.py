"""PostgreSQL and Redis, from Debian, on the machines whose instances expect them to be there."""

from __future__ import annotations

import re
from pathlib import Path

from machine import Machine

RECORDS = """[Unit]
Description=PostgreSQL
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
User=postgres
RuntimeDirectory=postgresql
StateDirectory=postgresql
StateDirectoryMode=0700
ExecStartPre=/etc/records/prepare
ExecStart={bin}/postgres -D /var/lib/postgresql/data -c listen_addresses=* -c unix_socket_directories=/run/postgresql -c max_connections=200
ExecStartPost=/etc/records/grant
KillSignal=SIGINT
Restart=always

[Install]
WantedBy=multi-user.target
"""

PREPARE = """#!/bin/bash
set -euo pipefail
[[ ! -e /var/lib/postgresql/data/PG_VERSION ]] || exit 0
{bin}/initdb --pgdata /var/lib/postgresql/data --auth-local peer --auth-host scram-sha-256 --encoding UTF8 --locale C --no-sync >/dev/null
echo 'host all all 10.20.0.0/24 scram-sha-256' >>/var/lib/postgresql/data/pg_hba.conf
"""

GRANT = """#!/bin/bash
set -euo pipefail
export PGHOST=/run/postgresql
{bin}/psql --quiet --dbname=postgres --tuples-only --command="SELECT 1 FROM pg_roles WHERE rolname = 'quizmentor'" | grep --quiet 1 && exit 0
{bin}/psql --quiet --dbname=postgres --command="CREATE ROLE quizmentor LOGIN PASSWORD '{password}'" --command='CREATE DATABASE quizmentor OWNER quizmentor'
"""

CACHE = """[Unit]
Description=Redis
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
User=redis
ExecStart=/usr/bin/redis-server /etc/cache/redis.conf
Restart=always

[Install]
WantedBy=multi-user.target
"""


def install(machine: Machine, settings: str, secrets: dict[str, str]) -> None:
    """Puts the servers on the machine that the fleet's settings place there."""
    if _is_here(machine, settings, "postgres"):
        bin_directory = str(max(Path("/usr/lib/postgresql").glob("*/bin")))
        machine.write("/etc/systemd/system/postgresql.service", RECORDS.format(bin=bin_directory))
        machine.write("/etc/records/prepare", PREPARE.format(bin=bin_directory), 0o755)
        machine.write("/etc/records/grant", GRANT.format(bin=bin_directory, password=secrets["records-password"]), 0o755)
        machine.link("/etc/systemd/system/multi-user.target.wants/postgresql.service", "../postgresql.service")
    if _is_here(machine, settings, "redis"):
        conf = f"bind 127.0.0.1 {machine.address}\nsupervised systemd\nsave \"\"\ndir /tmp\nrequirepass {secrets['cache-password']}\n"
        machine.write("/etc/cache/redis.conf", conf)
        machine.write("/etc/systemd/system/redis-quizmentor.service", CACHE)
        machine.link("/etc/systemd/system/multi-user.target.wants/redis-quizmentor.service", "../redis-quizmentor.service")


def _is_here(machine: Machine, settings: str, scheme: str) -> bool:
    return re.search(rf"{scheme}://(\w+@)?(127\.0\.0\.1|{re.escape(machine.address)})[:/]", settings) is not None
