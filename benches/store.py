"""Measures the stores beside peers; `benches/store` builds what it needs and starts it."""

import argparse
import contextlib
import json
import os
import pwd
import resource
import selectors
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from local import Connection, Learner, Server, cpu_seconds, request

PARTS = ["answers", "next", "search", "live", "simulate", "simulate-sqlite"]

# So many that none runs out of questions within a round.
SATURATING_LEARNERS = 2_000
PGBENCH_CLIENTS = 64
ROUNDS = 3
READS = 20_000
LISTENERS = 20_000
LISTENERS_OF_A_LEARNER = 10
SOURCES = 10
# Descriptors besides connections.
OTHER_FILES = 500
# Longer than the server's heartbeat.
IDLE_SECONDS = 30
SIMULATED_LEARNERS = 5_000
SIMULATED_SECONDS = 120

# As many rows as an answer writes: three new ones, two that change.
PGBENCH_TABLES = """
CREATE TABLE bench_sessions (id int PRIMARY KEY, version bigint NOT NULL, body text NOT NULL)
    WITH (fillfactor = 50, toast_tuple_target = 8160);
CREATE TABLE bench_states (id int PRIMARY KEY, version bigint NOT NULL, body text NOT NULL)
    WITH (fillfactor = 50, toast_tuple_target = 8160);
CREATE TABLE bench_ids (id uuid PRIMARY KEY, learner int NOT NULL, at timestamptz NOT NULL);
CREATE TABLE bench_answers (sequence bigserial PRIMARY KEY, id uuid NOT NULL, learner int NOT NULL,
    body text NOT NULL);
CREATE INDEX ON bench_answers (learner, sequence);
CREATE TABLE bench_outbox (sequence bigserial PRIMARY KEY, body text NOT NULL);
INSERT INTO bench_sessions SELECT n, 0, repeat('s', 1200) FROM generate_series(1, 5000) n;
INSERT INTO bench_states SELECT n, 0, repeat('s', 600) FROM generate_series(1, 5000) n;
"""
PGBENCH_WRITES = [
    "UPDATE bench_sessions SET version = version + 1, body = repeat('t', 1200) WHERE id = :n",
    "UPDATE bench_states SET version = version + 1, body = repeat('t', 600) WHERE id = :n",
    "INSERT INTO bench_ids VALUES (gen_random_uuid(), :n, now())",
    "INSERT INTO bench_answers (id, learner, body)"
    " VALUES (gen_random_uuid(), :n, repeat('a', 400))",
    "INSERT INTO bench_outbox (body) VALUES (repeat('e', 300))",
]


class Servers(contextlib.ExitStack):
    """A PostgreSQL that waits for the disk, and a Redis; both end with this."""

    def __init__(self, place):
        super().__init__()
        self.place = place
        place.chmod(0o711)
        self.redis = place / "redis.sock"
        self.start_redis()
        self.start_postgres()

    def start_redis(self):
        log = self.enter_context(open(self.place / "redis.log", "w", encoding="utf-8"))
        command = ["redis-server", "--port", "0", "--save", "", "--unixsocket", str(self.redis)]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.place)
        self.callback(process.wait)
        self.callback(process.terminate)
        wait_for(self.redis.exists, "redis-server does not start")

    def start_postgres(self):
        data = self.place / "postgres"
        data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.place, "postgres")
            shutil.chown(data, "postgres")
        self.postgres("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale", "C")
        options = f"-c listen_addresses='' -k {self.place} -c max_connections=200"
        options += " -c shared_buffers=256MB -c max_wal_size=4GB"
        self.postgres("pg_ctl", "-D", data, "-w", "-s", "-l", self.place / "postgres.log",
                      "-o", options, "start")
        self.callback(self.postgres, "pg_ctl", "-D", data, "-s", "-m", "immediate", "stop")

    def postgres(self, program, *arguments, **more):
        """Runs a program of PostgreSQL, which refuses to run as root; its output."""
        versions = Path("/usr/lib/postgresql").glob(f"*/bin/{program}")
        command = [max(versions, key=lambda path: float(path.parts[4])), *arguments]
        user = {}
        if os.geteuid() == 0:
            postgres = pwd.getpwnam("postgres")
            user = {"user": postgres.pw_uid, "group": postgres.pw_gid, "extra_groups": []}
        done = subprocess.run(command, cwd="/", text=True, stdout=subprocess.PIPE, check=True,
                              **user, **more)
        return done.stdout

    def sql(self, text):
        self.postgres("psql", "-q", "-h", self.place, "-U", "postgres", "-v", "ON_ERROR_STOP=1",
                      input=text)

    def settings(self, database):
        self.sql(f"CREATE DATABASE {database}")
        host = str(self.place).replace("/", "%2F")
        return {
            "QUIZMENTOR__RECORDS__URL": f"postgres://postgres@{host}/{database}",
            "QUIZMENTOR__CACHE__URL": f"unix://{self.redis}",
        }

    def pgbench(self, script, seconds):
        """Transactions per second of `script` by as many clients as suit the server."""
        file = self.place / "script.sql"
        file.write_text(script, encoding="utf-8")
        file.chmod(0o644)
        output = self.postgres("pgbench", "-n", "-h", self.place, "-U", "postgres", "-M",
                               "prepared", "-c", str(PGBENCH_CLIENTS), "-T", str(seconds),
                               "-f", file, "postgres")
        line = next(line for line in output.splitlines() if line.startswith("tps = "))
        return float(line.split()[2])


class Bench:
    def __init__(self, arguments):
        self.programs = arguments.programs
        self.models = arguments.models
        self.seconds = arguments.seconds
        self.place = Path(tempfile.mkdtemp(dir=arguments.dir)).resolve()
        # PostgreSQL runs as another user.
        self.place.chmod(0o711)

    def server(self, name, settings=None):
        data = self.place / name
        data.mkdir()
        server = Server(self.programs / "quizmentor", self.models, data, settings)
        return server

    def simulate(self, server, learners, seconds, *more):
        url = "http://{}:{}".format(*server.address)
        command = [self.programs / "quizmentor", "simulate", "--url", url]
        command += ["--learners", str(learners), "--seconds", str(seconds), *more]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=True)
        report = json.loads(done.stdout)
        return report | {"server_rss_peak_mib": server.memory_mib("VmHWM")}

    def answers(self):
        """Answers per second at saturation, and what pgbench reaches on the same server."""
        figures = {"answers_per_s": [], "pgbench_tps": [], "pgbench_one_statement_tps": []}
        writes = "".join(f"{write};\n" for write in PGBENCH_WRITES)
        draw = "\\set n random(1, 5000)\n"
        parts = "".join(f", w{n} AS ({write})" for n, write in enumerate(PGBENCH_WRITES[:-1]))
        with Servers(self.part("servers-answers")) as servers:
            servers.sql(PGBENCH_TABLES)
            with self.server("answers", servers.settings("answers")) as server:
                server.settle()
                for _ in range(ROUNDS):
                    report = self.simulate(server, SATURATING_LEARNERS, self.seconds,
                                           "--think", "0")
                    figures["errors"] = figures.get("errors", 0) + sum(report["errors"].values())
                    figures["answers_per_s"].append(round(report["answers_per_second"], 1))
                    tps = servers.pgbench(f"{draw}BEGIN;\n{writes}END;\n", self.seconds)
                    figures["pgbench_tps"].append(round(tps, 1))
                    one = f"{draw}WITH {parts[2:]} {PGBENCH_WRITES[-1]};\n"
                    tps = servers.pgbench(one, self.seconds)
                    figures["pgbench_one_statement_tps"].append(round(tps, 1))
        answered = statistics.median(figures["answers_per_s"])
        figures["ratio"] = round(answered / statistics.median(figures["pgbench_tps"]), 2)
        one = statistics.median(figures["pgbench_one_statement_tps"])
        return figures | {"ratio_to_one_statement": round(answered / one, 2)}

    def next(self):
        """Processor time of a cached next question, beside a bare handler of the same bytes."""
        with self.server("next") as server, contextlib.ExitStack() as stack:
            server.settle()
            connection = Connection(server.address)
            learner = Learner(connection)
            sent = request("GET", f"{learner.path}/next", learner.token)
            body = self.place / "next.json"
            body.write_bytes(connection.exchange(sent))
            bare = subprocess.Popen([self.programs / "examples/bare", body], text=True,
                                    stdout=subprocess.PIPE)
            stack.callback(bare.wait)
            stack.callback(bare.kill)
            host, port = bare.stdout.readline().strip().rsplit(":", 1)
            peer = Connection((host, int(port)))
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(cpu_us(server.process.pid, connection, sent))
                theirs.append(cpu_us(bare.pid, peer, sent))
            return {
                "bytes": body.stat().st_size,
                "cpu_us": ours,
                "bare_cpu_us": theirs,
                "ratio": round(statistics.median(ours) / statistics.median(theirs), 2),
            }

    def search(self):
        """Search of 100,000 vectors of 256 dimensions in memory."""
        output = subprocess.check_output([self.programs / "examples/search"], text=True)
        return json.loads(output)

    def live(self):
        """Idle live connections from several addresses of this machine."""
        wanted = open_files(LISTENERS)
        settings = {"QUIZMENTOR__LIMITS__CONNECTIONS": str(LISTENERS + 1_000)}
        with self.server("live", settings) as server:
            server.settle()
            before = server.memory_mib("VmRSS")
            connection = Connection(server.address)
            learners = [Learner(connection)
                        for _ in range(wanted // LISTENERS_OF_A_LEARNER)]
            listeners = [listen(server.address, learners[n % len(learners)].token, n)
                         for n in range(wanted)]
            greeted = heard(listeners, b"event: missed", 60)
            drain(listeners)
            time.sleep(IDLE_SECONDS)
            alive = heard(listeners, b"\n:", 60)
            rss = server.memory_mib("VmRSS")
            theirs = listeners[:: len(learners)]
            drain(listeners)
            # The server has closed the first connection meanwhile, for it was idle.
            connection = Connection(server.address)
            begin = time.perf_counter()
            connection.exchange(request("POST", "/v1/sessions", learners[0].token, {}))
            told = heard(theirs, b"event: session.changed", 10)
            elapsed = 1_000 * (time.perf_counter() - begin)
            for listener in listeners:
                listener.close()
            return {
                "connections": wanted,
                "greeted": greeted,
                "alive_after_heartbeat": alive,
                "rss_before_mib": before,
                "rss_mib": rss,
                "told": f"{told} of {len(theirs)}",
                "told_within_ms": round(elapsed, 1),
            }

    def simulation(self):
        """Learners with time to think, against PostgreSQL and Redis."""
        with Servers(self.part("servers-simulate")) as servers:
            with self.server("simulate", servers.settings("simulate")) as server:
                server.settle()
                return self.simulate(server, SIMULATED_LEARNERS, SIMULATED_SECONDS)

    def simulation_sqlite(self):
        """The same with everything in the process."""
        with self.server("simulate-sqlite") as server:
            server.settle()
            return self.simulate(server, SIMULATED_LEARNERS, SIMULATED_SECONDS)

    def part(self, name):
        place = self.place / name
        place.mkdir()
        return place


def open_files(wanted):
    """How many of the wanted connections the system allows this process and the server, after
    the limits were raised as far as they go."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError):
        raised = max(most, wanted + OTHER_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, raised))
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(wanted, most - OTHER_FILES)


def wait_for(condition, otherwise):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise SystemExit(otherwise)


def cpu_us(pid, connection, sent):
    """Microseconds of processor time that a process takes for a request."""
    begin = cpu_seconds(pid)
    for _ in range(READS):
        connection.exchange(sent)
    return round(1e6 * (cpu_seconds(pid) - begin) / READS, 2)


def listen(address, token, number):
    """A live connection, from one of several addresses, for each has ports for so many only."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    listener.bind((f"127.0.0.{2 + number % SOURCES}", 0))
    listener.connect(address)
    listener.sendall(request("GET", "/v1/live", token))
    listener.setblocking(False)
    return listener


def heard(listeners, wanted, seconds):
    """How many of the listeners hear what is wanted within so many seconds."""
    end = time.monotonic() + seconds
    received = dict.fromkeys(listeners, b"")
    count = 0
    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            selector.register(listener, selectors.EVENT_READ)
        while count < len(listeners) and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                part = key.fileobj.recv(65_536)
                received[key.fileobj] += part
                if wanted in received[key.fileobj]:
                    count += 1
                elif part:
                    continue
                selector.unregister(key.fileobj)
    return count


def drain(listeners):
    for listener in listeners:
        with contextlib.suppress(BlockingIOError):
            while listener.recv(65_536):
                pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs", type=Path)
    parser.add_argument("parts", metavar="PART", nargs="*", choices=[*PARTS, []],
                        help=f"what to measure; all unless named: {', '.join(PARTS)}")
    parser.add_argument("--models", default="models")
    parser.add_argument("--dir", default="target")
    parser.add_argument("--seconds", type=int, default=20)
    arguments = parser.parse_args()
    bench = Bench(arguments)
    measures = dict(zip(PARTS, [bench.answers, bench.next, bench.search, bench.live,
                                bench.simulation, bench.simulation_sqlite]))
    report = {}
    try:
        for part in arguments.parts or PARTS:
            report[part] = measures[part]()
    finally:
        shutil.rmtree(bench.place, ignore_errors=True)
    report["load_1min"] = round(os.getloadavg()[0], 2)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
