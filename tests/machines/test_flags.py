"""Unleash as its unit is rendered, with its state in the fleet's records."""

from __future__ import annotations

import json

from appliance import secret
from fleet import FleetTest

UNIT = "unleash.service"
# Seconds that its first start may take: some hundred migrations.
PATIENCE = 120


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

    def features(self, token: str) -> tuple[str, str]:
        """Status and body of a client's question for the flags."""
        answer = self.machine.run(f"curl --silent --max-time 5 --header 'authorization: {token}' --write-out '\n%{{http_code}}' {self.url('/api/client/features')}")
        body, _, status = answer.rpartition("\n")
        return status, body

    def test_clients_with_the_fleets_token_get_the_flags(self) -> None:
        status, body = self.features(f"*:production.{secret('unleash-client-token')}")
        self.assertEqual(status, "200", body)
        self.assertEqual(json.loads(body)["features"], [])
        self.assertEqual(self.features("*:production.another")[0], "401")

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
