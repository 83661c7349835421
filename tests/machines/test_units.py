"""The units run as they are rendered."""

from __future__ import annotations

import json
import re
import shlex
import time

from appliance import TOKEN_KEY
from fleet import ENGINES, FleetTest


class Units(FleetTest):
    def slots(self) -> list[str]:
        """Names of the slots that serve, such as `learning-blue`."""
        return [line.split()[1] for line in self.machine.run("cat /var/lib/quizmentor-rollout/slots.map").splitlines()]

    def pid(self, slot: str) -> str:
        return self.machine.property(f"quizmentor-{slot}.service", "MainPID")

    def test_nothing_has_failed(self) -> None:
        self.assertEqual(self.machine.run("systemctl --failed --no-legend --plain").strip(), "")

    def test_each_instance_serves_from_one_slot(self) -> None:
        instances = json.loads(self.appliance.evaluated(1).etc["quizmentor/instances.json"])
        slots = self.slots()
        self.assertEqual([slot.rsplit("-", 1)[0] for slot in slots], sorted(instances))
        for slot in slots:
            self.assertEqual(self.machine.property(f"quizmentor-{slot}.service", "SubState"), "running")
            self.assertIn("serving at", self.machine.property(f"quizmentor-{slot}.service", "StatusText"))
        running = self.machine.run("systemctl list-units --no-legend --plain --state=active 'quizmentor-*-blue.service' 'quizmentor-*-green.service'")
        self.assertEqual(len(running.splitlines()), len(slots))

    def test_the_kernel_holds_them_as_rendered(self) -> None:
        for slot in self.slots():
            pid = self.pid(slot)
            status = dict(line.split(":\t", 1) for line in self.machine.run(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"], int(status["CapEff"], 16), int(status["CapBnd"], 16)), ("1", "2", 0, 0))
            self.assertNotEqual(status["Uid"].split()[0], "0")
            inside = f"nsenter --target {pid} --mount --"
            self.machine.run("touch /root/private")
            for forbidden in ("touch /etc/written", "touch /usr/written", "touch /nix/written", "ls /root/private"):
                code, output = self.machine.status(f"{inside} {forbidden}")
                self.assertNotEqual(code, 0, f"{slot}: {forbidden}: {output}")
            self.machine.run(f"{inside} touch /var/lib/quizmentor/written && rm /var/lib/quizmentor/written")
            devices = self.machine.run(f"{inside} ls /dev").split()
            self.assertNotIn("kmsg", devices)

    def test_slots_are_reached_through_the_front_door_only(self) -> None:
        for line in self.machine.run("ss --listening --tcp --numeric --no-header").splitlines():
            address, _, port = line.split()[3].rpartition(":")
            if int(port) > 8000 and address != self.machine.address:
                self.assertIn(address, ("127.0.0.1", "[::1]"))
        self.assertEqual(self.fleet.get(ENGINES, "/metrics")[0], 404)
        self.assertEqual(self.fleet.get(ENGINES, "/v1/subjects")[0], 200)
        for slot in self.slots():
            header = f"x-quizmentor-slot: {slot.replace('blue', 'green')}"
            self.assertEqual(self.fleet.get(ENGINES, "/v1/subjects", "--header", header)[0], 200, "nobody outside chooses a slot")

    def test_a_front_door_is_ready_when_there_is_somebody_for_every_role(self) -> None:
        """It once said so before the bank was there: the first requests after a boot got 503."""
        for role in ("adaptive", "bank", "web"):
            members = re.findall(rf"^backend role-{role}\n(?:.+\n)*", self.appliance.evaluated(1).etc["haproxy.cfg"], re.MULTILINE)
            names = re.findall(r"^  server (\S+)", members[0], re.MULTILINE)
            self.assertGreater(len(names), 1)
            for state, expected in (("maint", 503), ("ready", 200)):
                for name in names:
                    self.assertEqual(self.appliance.door(f"set server role-{role}/{name} state {state}").strip(), "")
                self.fleet.await_status(ENGINES, "/readyz", expected)

    def test_limits_count_learners_by_their_own_addresses(self) -> None:
        ask = ["--request", "POST", "--header", "content-type: application/json", "--data", '{"code": "no-such-code"}']
        for _ in range(40):
            status, body = self.fleet.get(ENGINES, "/v1/auth/link", *ask)
            if status == 429:
                break
        self.assertEqual(status, 429, body)
        elsewhere = shlex.join(["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", *ask, f"http://{self.machine.address}/v1/auth/link"])
        self.assertNotEqual(self.fleet.machines["worker-2"].run(elsewhere), "429", "another address is another learner")

    def test_a_hung_process_is_replaced(self) -> None:
        slot = self.slots()[0]
        unit, before = f"quizmentor-{slot}.service", self.pid(slot)
        self.machine.run(f"kill -STOP {before}")
        restarts = self.machine.property(unit, "NRestarts")
        seconds = int(self.machine.property(unit, "WatchdogUSec").removesuffix("s"))
        self.machine.until(f"test $(systemctl show --property=NRestarts --value {unit}) -gt {restarts}", 2 * seconds + 10)
        self.machine.until(f"systemctl is-active {unit}")
        self.assertNotEqual(self.pid(slot), before)
        self.assertIn("Watchdog timeout", self.machine.journal(unit))
        self.fleet.await_ready(ENGINES)

    def test_a_killed_process_is_replaced_and_no_connection_refused(self) -> None:
        slot = self.slots()[-1]
        self.machine.run(f"kill -KILL {self.pid(slot)}")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            status, body = self.fleet.get(ENGINES, "/v1/subjects")
            self.assertEqual(status, 200, body)
            if self.pid(slot) != "0":
                return
        self.fail("the killed process did not come back")

    def test_the_journal_has_fields(self) -> None:
        unit = f"quizmentor-{self.slots()[0]}.service"
        entries = [json.loads(line) for line in self.machine.run(f"journalctl --output=json --unit={unit}").splitlines()]
        serving = [entry for entry in entries if entry["MESSAGE"] == "serving"]
        self.assertTrue(serving, "it does not tell that it serves")
        self.assertEqual(serving[0]["TARGET"], "quizmentor::serve")
        self.assertEqual(serving[0]["PRIORITY"], "5")
        self.assertRegex(serving[0]["QUIZMENTOR_BASE_URL"], r"^http://127\.0\.0\.1:\d+$")

    def test_secrets_reach_the_process_as_credentials_only(self) -> None:
        for slot in self.slots():
            pid = self.pid(slot)
            for file in ("environ", "cmdline"):
                self.assertNotIn(TOKEN_KEY, self.machine.run(f"tr '\\0' '\\n' </proc/{pid}/{file}"))
            directory = f"/run/credentials/quizmentor-{slot}.service"
            self.assertEqual(self.machine.run(f"nsenter --target {pid} --mount -- cat {directory}/token-key"), TOKEN_KEY)
            self.assertEqual(self.machine.run(f"stat --format=%a {directory}").strip()[-1], "0")
        found = self.machine.run(f"grep --recursive --files-with-matches --no-messages {TOKEN_KEY} /etc /var /nix /run /tmp /root || true").split()
        self.assertTrue(any(file.startswith("/run/credentials/") for file in found))
        for file in found:
            self.assertEqual(self.machine.run(f"stat --format=%a {file}").strip()[-1], "0", f"{file} can be read by everyone")
        self.assertNotIn(TOKEN_KEY, self.machine.run("journalctl --no-pager"))
