"""Private PostgreSQL servers with the settings and scripts of the records' nodes."""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "nixos"
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
HEADER = "#!/bin/bash\nset -euo pipefail\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Node:
    """A node of the records: its server, its backups and its command."""

    def __init__(self, directory: Path, address: str, peer: str, role_port: int) -> None:
        self.directory, self.address, self.port = directory, address, free_port()
        self.data, self.backups, self.bin = directory / "data", directory / "backups", directory / "bin"
        for folder in (self.bin, self.backups / "base", self.backups / "wal", self.backups / "snapshots"):
            folder.mkdir(parents=True)
        self._script("archive", (SCRIPTS / "records/archive.sh").read_text())
        places = {
            "PGDATA": self.data,
            "ARCHIVE": self.backups / "wal",
            "BASE_BACKUPS": self.backups / "base",
            "PEERS": peer,
            "ROLE_PORT": role_port,
            "SLOTS": "peer",
            "BEGINS": "standby",
            "PASSFILE": directory / "replication.pgpass",
            "PGHOST": directory,
            "PGPORT": self.port,
        }
        exports = "".join(f"export {name}='{value}'\n" for name, value in places.items())
        self._script("quizmentor-records", exports + (SCRIPTS / "records/records.sh").read_text())
        self.environment = os.environ | {
            "PATH": f"{self.bin}:{PROGRAMS}:{os.environ['PATH']}",
            "PGHOST": str(directory),
            "PGPORT": str(self.port),
        }
        shutil.chown(directory, "postgres", "postgres")
        self.run(f"chown -R postgres:postgres {directory}", user="root")
        self.roles = Roles(self, role_port)

    def _script(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(HEADER + text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def status(self, command: str, user: str = "postgres", more: dict[str, str] | None = None) -> tuple[int, str]:
        words = ["runuser", "--user", user, "--", "bash", "-c", command]
        done = subprocess.run(
            words, env=self.environment | (more or {}), cwd="/", text=True, timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout.strip()

    def run(self, command: str, user: str = "postgres", more: dict[str, str] | None = None) -> str:
        code, output = self.status(command, user, more)
        if code:
            raise AssertionError(f"{command}: exit {code}\n{output}")
        return output

    def join(self) -> tuple[int, str]:
        """What the node does before its server starts."""
        credentials = self.directory / "secrets"
        self.run(f"mkdir --parents {credentials} && echo secret > {credentials}/replication-password")
        return self.status("quizmentor-records join", more={"CREDENTIALS_DIRECTORY": str(credentials)})

    def initialise(self) -> None:
        self.run(f"initdb --pgdata={self.data} --auth-local=trust --auth-host=trust --data-checksums --no-sync")
        self._configure()

    def follow(self, primary: Node) -> None:
        self.run(
            f"pg_basebackup --host={primary.directory} --port={primary.port} --pgdata={self.data} "
            "--wal-method=stream --checkpoint=fast --slot=peer"
        )
        self._configure(primary)
        (self.data / "standby.signal").touch()
        shutil.chown(self.data / "standby.signal", "postgres", "postgres")

    def _configure(self, primary: Node | None = None) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.directory,
            "port": self.port,
            "wal_level": "replica",
            "archive_mode": "on",
            "archive_command": f"{self.bin}/archive {self.backups}/wal %p %f",
            "shared_buffers": "16MB",
        }
        if primary:
            settings["primary_conninfo"] = f"host={primary.directory} port={primary.port}"
            settings["primary_slot_name"] = "peer"
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        (self.data / "postgresql.conf").write_text(lines)

    def start(self, data: Path | None = None, options: str = "") -> None:
        data = data or self.data
        self.run(f"pg_ctl --pgdata={data} --wait --log={data}.log --options=\"{options}\" start")

    def stop(self, data: Path | None = None, mode: str = "fast") -> None:
        self.status(f"pg_ctl --pgdata={data or self.data} --mode={mode} --wait stop")

    def sql(self, statement: str, port: int | None = None, database: str = "postgres") -> str:
        return self.run(
            f"psql --no-psqlrc -tA -v ON_ERROR_STOP=1 -p {port or self.port} -d {database} -c \"{statement}\""
        )


class Roles:
    """Answers a connection by the node's command, as its socket unit does."""

    def __init__(self, node: Node, port: int) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                words = ["runuser", "--user", "postgres", "--", f"{node.bin}/quizmentor-records", "answer-role"]
                descriptor = self.request.fileno()
                subprocess.run(
                    words, env=node.environment, stdin=descriptor, stdout=descriptor,
                    stderr=subprocess.DEVNULL, timeout=20, check=False,
                )  # fmt: skip

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True

        self.server = Server((node.address, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Pair:
    """A primary, and a place for a standby."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="quizmentor-records-"))
        self.directory.chmod(0o755)
        role_port = free_port()
        self.first = Node(self.directory / "first", "127.0.0.2", "127.0.0.3", role_port)
        self.second = Node(self.directory / "second", "127.0.0.3", "127.0.0.2", role_port)
        self.first.initialise()
        self.first.start()
        self.first.sql("CREATE DATABASE quizmentor")
        self.first.sql("SELECT pg_create_physical_replication_slot('peer')")

    def close(self) -> None:
        for node in (self.first, self.second):
            node.stop(mode="immediate")
            node.roles.close()
        shutil.rmtree(self.directory)
