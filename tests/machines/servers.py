"""PostgreSQL and Redis, from Debian, on the machines whose instances expect them to be there."""

from __future__ import annotations

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


# Tells the front doors that the primary is here.
ROLE = """[Unit]
Description=Tells that this is the primary
After=postgresql.service
BindsTo=postgresql.service

[Service]
ExecStart=/usr/bin/socat TCP-LISTEN:5433,fork,reuseaddr EXEC:/etc/records/answer

[Install]
WantedBy=multi-user.target
"""


def install(machine: Machine, secrets: dict[str, str]) -> None:
    """Puts the servers on the machine that they have in the production fleet."""
    if machine.name == "worker-2":
        bin_directory = str(max(Path("/usr/lib/postgresql").glob("*/bin")))
        machine.write("/etc/records/prepare", PREPARE.format(bin=bin_directory), 0o755)
        machine.write("/etc/records/grant", GRANT.format(bin=bin_directory, password=secrets["records-password"]), 0o755)
        _enable(machine, "postgresql", RECORDS.format(bin=bin_directory))
        machine.write("/etc/records/answer", "#!/bin/sh\nprintf 'HTTP/1.0 200 OK\\r\\n\\r\\n'\n", 0o755)
        _enable(machine, "records-role", ROLE)
    if machine.name == "worker-1":
        conf = f"bind 127.0.0.1 {machine.address}\nsupervised systemd\nsave \"\"\ndir /tmp\nrequirepass {secrets['cache-password']}\n"
        machine.write("/etc/cache/redis.conf", conf)
        _enable(machine, "redis-quizmentor", CACHE)


def _enable(machine: Machine, name: str, unit: str) -> None:
    machine.write(f"/etc/systemd/system/{name}.service", unit)
    machine.link(f"/etc/systemd/system/multi-user.target.wants/{name}.service", f"../{name}.service")
