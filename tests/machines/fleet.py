"""The fleet of three machines that the tests share, and load on it."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

from appliance import BINARY, REPOSITORY, Appliance
from machine import Machine, Network

GOLDEN = Path(os.environ.get("MACHINES_GOLDEN", REPOSITORY / "tests/golden"))
GATEWAY = "10.20.0.254"
ADDRESSES = {"master": "10.20.0.11", "worker-1": "10.20.0.12", "worker-2": "10.20.0.13"}
# The host whose engines learners use, and an instance on it that has the adaptive role.
ENGINES = "worker-1"
LEARNERS = int(os.environ.get("MACHINES_LEARNERS", "150"))


@functools.cache
def shared() -> Fleet:
    fleet = Fleet()
    atexit.register(fleet.close)
    return fleet


class Load:
    """Synthetic learners at a front door; they come within `ramp` seconds, and the report when
    they have ended."""

    def __init__(self, fleet: Fleet, host: str, seconds: int, ramp: int = 8) -> None:
        command = [str(BINARY), "simulate", "--url", f"http://{ADDRESSES[host]}", "--learners", str(LEARNERS)]
        command += ["--ramp", str(ramp), "--seconds", str(seconds)]
        self._process = subprocess.Popen(
            fleet.network.command(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def report(self) -> dict[str, Any]:
        out, err = self._process.communicate()
        if self._process.returncode != 0 and not out:
            raise AssertionError(err)
        report: dict[str, Any] = json.loads(out)
        return report


class Fleet:
    """Three machines with the appliance of the production fleet's hosts."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="machines-", ignore_cleanup_errors=True)
        self.network = Network(GATEWAY)
        self.network.__enter__()
        self.machines: dict[str, Machine] = {}
        self.appliances: dict[str, Appliance] = {}
        try:
            for host in ADDRESSES:
                machine = Machine(host, ADDRESSES[host], self.network, Path(self._directory.name))
                self.machines[host] = machine
                self.appliances[host] = Appliance(machine, GOLDEN / host)
            for machine in self.machines.values():
                machine.spawn()
            for machine in self.machines.values():
                machine.wait_booted()
            for host in ADDRESSES:
                self.await_ready(host)
        except BaseException:
            self.close()
            raise

    def get(self, host: str, path: str, *arguments: str) -> tuple[int, str]:
        """Status and body of a request from outside to a front door; status 0 without an answer."""
        url = f"http://{ADDRESSES[host]}{path}"
        command = ["curl", "--silent", "--max-time", "20", "--write-out", "\n%{http_code}", *arguments, url]
        done = subprocess.run(self.network.command(*command), capture_output=True, text=True, check=False)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def refusals(self) -> str:
        """What the front doors and the instances say of requests that failed."""
        said = []
        for name, machine in self.machines.items():
            doors = "journalctl --no-pager --boot --output=cat --unit=haproxy.service | grep --extended-regexp ' (5[0-9][0-9]|-1) [0-9]+ |is DOWN|is UP' | tail -n 60"
            instances = "journalctl --no-pager --boot --output=short-precise --unit='quizmentor-*-blue.service' --unit='quizmentor-*-green.service' --priority=warning | tail -n 60"
            if machine.is_running:
                said.append(f"--- {name}\n" + machine.status(f"{doors}; {instances}")[1])
        return "\n".join(said)

    def await_ready(self, host: str) -> None:
        self.await_status(host, "/readyz", 200)

    def await_status(self, host: str, path: str, status: int, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while (answer := self.get(host, path))[0] != status:
            if time.monotonic() > deadline:
                troubles = "\n".join(machine.troubles() for machine in self.machines.values())
                raise TimeoutError(f"{host}: {path} still answers {answer} after {seconds} s\n{troubles}")
            time.sleep(0.2)

    def close(self) -> None:
        for machine in self.machines.values():
            machine.close()
        self.network.__exit__()
        self._directory.cleanup()


class FleetTest(unittest.TestCase):
    """Tests on the fleet; it boots once, and each test leaves it as it was."""

    # The host that the tests are about.
    host = ENGINES
    fleet: Fleet
    appliance: Appliance
    machine: Machine

    @classmethod
    def setUpClass(cls) -> None:
        cls.fleet = shared()
        cls.appliance = cls.fleet.appliances[cls.host]
        cls.machine = cls.fleet.machines[cls.host]

    def assert_nothing_lost(self, report: dict[str, Any]) -> None:
        """Every request was answered, every acknowledged answer is there, and once."""
        rate = report["requests"] / report["seconds"]
        print(f"\n    {rate:.0f} requests/s, p50 {report['p50_ms']:.1f} ms, p99 {report['p99_ms']:.1f} ms, {report['answers_acknowledged']} answers", end="  ", flush=True)
        if report["errors"]:
            self.fail(f"{report['errors']}\n{self.fleet.refusals()}")
        self.assertGreater(report["answers_acknowledged"], 0)
        self.assertEqual(report["answers_found"], report["answers_acknowledged"])
        self.assertEqual(report["counted_twice"], 0)
        self.assertEqual(report["learners_unread"], 0)
