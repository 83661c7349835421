"""Starts the program on a free port, drives it over one connection and prints figures as JSON."""

import argparse
import json
import math
import os
import platform
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

COLD_STARTS = 3
WARM_STARTS = 5
CLASSIFICATIONS = 200
LEARNERS = 10
ANSWERS = 1_000
READS = 10_000
START_TIMEOUT = 120
SETTLE_TIMEOUT = 300

TEXTS = [
    "List the stages of mitosis in order.",
    "Explain why ice floats on water.",
    "Calculate the current through a resistor of 12 ohms at 9 volts.",
    "Compare the causes of two revolutions of your choice.",
    "Judge whether the experiment supports the author's claim.",
    "Design a study that could refute this hypothesis.",
    "Name the capital of Portugal.",
    "Which of these functions grows fastest as n tends to infinity?",
]


def cpu_seconds(pid):
    """Processor time that a process has taken."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    """A serving process, with this script in its service manager's place."""

    def __init__(self, binary, models, data_dir, settings=None):
        with tempfile.TemporaryDirectory() as place:
            manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            manager.bind(f"{place}/notify")
            manager.settimeout(0.5)
            environment = {
                name: value
                for name, value in os.environ.items()
                if not name.startswith("QUIZMENTOR") and name != "STATE_DIRECTORY"
            }
            environment |= {"NOTIFY_SOCKET": f"{place}/notify", "RUST_LOG": "error"}
            environment |= settings or {}
            command = [binary, "serve", "--listen", "127.0.0.1:0"]
            command += ["--data-dir", data_dir, "--models", models]
            begin = time.perf_counter()
            self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            lines = self.ready(manager)
            self.start_ms = 1_000 * (time.perf_counter() - begin)
        status = next(line for line in lines if line.startswith("STATUS="))
        host, port = status.rsplit("http://", 1)[1].rsplit(":", 1)
        self.address = (host, int(port))

    def ready(self, manager):
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                lines = manager.recv(4096).decode().splitlines()
            except TimeoutError:
                continue
            if "READY=1" in lines:
                return lines
        self.process.kill()
        raise SystemExit(f"the server ended or was not ready within {START_TIMEOUT} s")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def settle(self):
        """Waits until the background work after the start is done: hardly any time on a core."""
        end = time.monotonic() + SETTLE_TIMEOUT
        while time.monotonic() < end:
            before = cpu_seconds(self.process.pid)
            time.sleep(2)
            if cpu_seconds(self.process.pid) - before < 0.04:
                return
        raise SystemExit(f"still busy {SETTLE_TIMEOUT} s after the start")

    def memory_mib(self, field):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return round(int(line.split()[1]) / 1024, 1)
        raise SystemExit(f"the system does not tell {field}")


class Connection:
    """One kept connection. Plain bytes over a socket cost less time than http.client."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def exchange(self, request):
        """Sends a request; the body of the reply."""
        self.socket.sendall(request)
        while (end := self.received.find(b"\r\n\r\n")) < 0:
            self.receive()
        head = self.received[:end].lower()
        at = head.index(b"content-length:") + len("content-length:")
        end += 4 + int(head[at:].split(b"\r\n", 1)[0])
        while len(self.received) < end:
            self.receive()
        body, self.received = self.received[len(head) + 4 : end], self.received[end:]
        if not head.startswith((b"http/1.1 200", b"http/1.1 201")):
            raise SystemExit(f"{request!r} was answered {head!r} {body!r}")
        return body

    def receive(self):
        part = self.socket.recv(65_536)
        if not part:
            raise SystemExit("the server closed the connection")
        self.received += part


def request(method, path, token=None, body=None):
    lines = [f"{method} {path} HTTP/1.1", "host: bench"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    text = "" if body is None else json.dumps(body)
    if body is not None:
        lines.append("content-type: application/json")
    if method == "POST":
        lines.append(f"content-length: {len(text.encode())}")
    return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()


class Timer:
    """Times exchanges and keeps the times."""

    def __init__(self, connection):
        self.connection = connection
        self.times = []

    def exchange(self, sent):
        begin = time.perf_counter()
        body = self.connection.exchange(sent)
        self.times.append(time.perf_counter() - begin)
        return body

    def figures(self):
        self.times.sort()
        return {
            "requests": len(self.times),
            "p50_ms": self.percentile(50),
            "p99_ms": self.percentile(99),
        }

    def percentile(self, percent):
        """By the nearest rank."""
        rank = math.ceil(percent / 100 * len(self.times))
        return round(1_000 * self.times[rank - 1], 3)


class Learner:
    def __init__(self, connection):
        self.token = json.loads(connection.exchange(request("POST", "/v1/auth/guest")))["token"]
        begin = request("POST", "/v1/sessions", self.token, {"mode": "practice"})
        session = json.loads(connection.exchange(begin))
        self.path = f"/v1/sessions/{session['id']}"
        self.next = session["next"]

    def answer(self, timer):
        question = self.next["question"]
        body = {
            "id": str(uuid.uuid4()),
            "question": question["id"],
            "response": response(question["body"]),
        }
        reply = timer.exchange(request("POST", f"{self.path}/answers", self.token, body))
        self.next = json.loads(reply)["session"]["next"]


def response(body):
    """Any response to a question of this kind."""
    match body["kind"]:
        case "single_choice":
            return {"option": 0}
        case "multiple_choice":
            return {"options": [0]}
        case "true_false":
            return {"truth": True}
        case "numerical":
            return {"number": 1.0}
        case "matching":
            return {"answers": [0] * len(body["prompts"])}
        case _:
            return {"text": "?"}


def start_ms(binary, models, data_dir):
    with Server(binary, models, data_dir) as server:
        return server.start_ms


def measure_starts(binary, models, parent):
    """Median milliseconds to readiness, cold and warm, and a data directory that is warm."""
    cold = [start_ms(binary, models, f"{parent}/cold-{i}") for i in range(COLD_STARTS)]
    data_dir = f"{parent}/cold-0"
    with Server(binary, models, data_dir) as server:
        server.settle()
    warm = [start_ms(binary, models, data_dir) for _ in range(WARM_STARTS)]
    return statistics.median(cold), statistics.median(warm), data_dir


def measure_requests(server):
    connection = Connection(server.address)
    learners = [Learner(connection) for _ in range(LEARNERS)]
    classify, answer, reads, empty = (Timer(connection) for _ in range(4))
    token = learners[0].token
    for i in range(CLASSIFICATIONS):
        text = {"texts": [TEXTS[i % len(TEXTS)]]}
        classify.exchange(request("POST", "/v1/bloom/classify", token, text))
    for i in range(ANSWERS):
        learners[i % LEARNERS].answer(answer)
    memory = {"rss_mib": server.memory_mib("VmRSS"), "rss_peak_mib": server.memory_mib("VmHWM")}
    next_question = request("GET", f"{learners[0].path}/next", token)
    livez = request("GET", "/livez")
    for _ in range(READS):
        reads.exchange(next_question)
    for _ in range(READS):
        empty.exchange(livez)
    return memory | {
        "next": reads.figures(),
        "answer": answer.figures(),
        "classify": classify.figures(),
        "livez": empty.figures(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("--models", default="models", help="where the trained models are")
    parser.add_argument("--dir", default="target", help="where data is put while measuring")
    arguments = parser.parse_args()
    binary = str(Path(arguments.binary).resolve())
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.dir) as parent:
        cold, warm, data_dir = measure_starts(binary, arguments.models, parent)
        with Server(binary, arguments.models, data_dir) as server:
            server.settle()
            figures = measure_requests(server)
    figures = {"cold_start_ms": round(cold, 1), "warm_start_ms": round(warm, 1)} | figures
    figures["machine"] = {"cores": os.cpu_count(), "system": platform.platform()}
    figures["load_1min"] = round(os.getloadavg()[0], 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
