"""Unleash as its unit is rendered, with its state in the fleet's records, and the instances that ask it."""

from __future__ import annotations

import json
import time

from appliance import secret
from fleet import ADDRESSES, ENGINES, FleetTest

UNIT = "unleash.service"
# Seconds that its first start may take: some hundred migrations.
PATIENCE = 120
# An instance asks every 15 s, and Unleash writes down every 20 s who has introduced himself.
ROUND = 45
FLAG = "of-the-test"
# Where the instances of a machine keep the last flags.
KEPT = "/var/lib/quizmentor/flags.json"
FIRST_PASSWORD = {"username": "admin", "password": "unleash4all"}
SESSION = "/tmp/unleash-session"


class Flags(FleetTest):
    host = "master"

    def setUp(self) -> None:
        self.machine.run(f"systemctl start {UNIT}")
        self.await_health()

    def tearDown(self) -> None:
        self.machine.run(f"systemctl stop {UNIT}")

    def await_health(self) -> None:
        self.machine.until(f"curl --silent --fail --max-time 5 {self.url('/health')} | grep GOOD", PATIENCE)

    def url(self, path: str) -> str:
        return f"http://{self.machine.address}:4242{path}"

    def log_in(self) -> None:
        """As an operator does for the first time."""
        self.machine.run(f"curl --silent --fail --max-time 5 --cookie-jar {SESSION} --json '{json.dumps(FIRST_PASSWORD)}' {self.url('/auth/simple/login')}")

    def admin(self, path: str, arguments: str = "") -> str:
        """Answer to the operator who has logged in."""
        return self.machine.run(f"curl --silent --fail-with-body --max-time 5 --cookie {SESSION} {arguments} '{self.url('/api/admin' + path)}'")

    def features(self, token: str) -> tuple[str, str]:
        """Status and body of a client's question for the flags."""
        answer = self.machine.run(f"curl --silent --max-time 5 --header 'authorization: {token}' --write-out '\n%{{http_code}}' {self.url('/api/client/features')}")
        body, _, status = answer.rpartition("\n")
        return status, body

    def test_clients_with_the_fleets_token_get_the_flags(self) -> None:
        status, body = self.features(secret("unleash-client-token"))
        self.assertEqual(status, "200", body)
        self.assertEqual(json.loads(body)["features"], [])
        self.assertEqual(self.features("*:production.another")[0], "401")

    def test_the_instances_of_every_host_introduce_themselves(self) -> None:
        for host, machine in self.fleet.machines.items():
            slot = next(iter(self.fleet.appliances[host].slots().values()))
            machine.run(f"systemctl restart quizmentor-{slot}.service")
        self.log_in()
        deadline = time.monotonic() + ROUND
        while (known := self.known()) != set(ADDRESSES.values()):
            self.assertLess(time.monotonic(), deadline, f"only {known}")
            time.sleep(1)

    def known(self) -> set[str]:
        """The addresses of the instances that Unleash knows."""
        told = json.loads(self.admin("/metrics/instances/quizmentor/environment/production"))
        return {instance["clientIp"].removeprefix("::ffff:") for instance in told["instances"]}

    def test_flags_stay_while_it_is_away(self) -> None:
        engines = self.fleet.machines[ENGINES]
        slot = self.fleet.appliances[ENGINES].slots()["adaptive"]
        self.log_in()
        self.admin("/projects/default/features", f"--json '{json.dumps({'name': FLAG})}'")
        engines.until(f"grep {FLAG} {KEPT}", ROUND)

        self.machine.run(f"systemctl stop {UNIT}")
        engines.until(f"{self.journal(slot)} | tail -n 1 | grep 'flags may be out of date'", ROUND)
        self.assertEqual(self.fleet.get(ENGINES, "/readyz")[0], 200)
        engines.run(f"systemctl restart quizmentor-{slot}.service")
        engines.until(f"{self.journal(slot)} | grep 'flags may be out of date'")
        self.fleet.await_ready(ENGINES)
        self.assertIn(FLAG, engines.run(f"cat {KEPT}"))

        self.machine.run(f"systemctl start {UNIT}")
        self.await_health()
        engines.until(f"{self.journal(slot)} | grep 'over: flags may be out of date'", ROUND)
        self.admin(f"/projects/default/features/{FLAG}", "--request DELETE")
        engines.until(f"! grep {FLAG} {KEPT}", ROUND)

    def journal(self, slot: str) -> str:
        """The command that shows what the slot's process says of flags."""
        return f"journalctl --no-pager --boot --output=cat _PID=$(systemctl show --property=MainPID --value quizmentor-{slot}.service) | grep flags"

    def test_its_state_is_in_the_records(self) -> None:
        primary = self.fleet.machines["worker-2"]
        tables = primary.run("setpriv --reuid=postgres --clear-groups psql -tAc \"SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'\" unleash")
        self.assertGreater(int(tables), 50)

    def test_it_comes_back_after_a_crash(self) -> None:
        before = self.machine.property(UNIT, "MainPID")
        self.machine.run(f"systemctl kill --signal=KILL {UNIT}")
        self.machine.until(f"test $(systemctl show --property=MainPID --value {UNIT}) != {before} && systemctl is-active {UNIT}", PATIENCE)
        self.await_health()

    def test_its_secrets_are_credentials(self) -> None:
        shown = self.machine.run(f"systemctl show {UNIT}") + self.machine.journal(UNIT)
        for name in ("unleash-password", "unleash-client-token"):
            self.assertNotIn(secret(name), shown)
        user = self.machine.run(f"ps -o user= -p {self.machine.property(UNIT, 'MainPID')}").strip()
        self.assertNotEqual(user, "root")
