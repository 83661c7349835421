"""Each host lost in turn: what still works, and that all works again when it is back."""

from __future__ import annotations

import json

from fleet import ADDRESSES, ENGINES, FleetTest, Load


class Loss(FleetTest):
    def bring_back(self, host: str) -> None:
        self.fleet.appliances[host].prepare_boot()
        self.fleet.machines[host].boot()
        for door in ADDRESSES:
            self.fleet.await_ready(door)

    def test_any_front_door_serves_while_another_host_is_lost(self) -> None:
        for lost in ADDRESSES:
            if lost == ENGINES:
                continue
            with self.subTest(lost):
                door = next(host for host in ADDRESSES if host not in (lost, ENGINES))
                load = Load(self.fleet, door, seconds=10)
                self.fleet.machines[lost].lose_power()
                self.assert_nothing_lost(load.report())
                self.bring_back(lost)

    def test_without_the_engines_the_front_doors_say_so_and_recover(self) -> None:
        self.fleet.machines[ENGINES].lose_power()
        for door in ADDRESSES:
            if door == ENGINES:
                continue
            self.fleet.machines[door].until("! curl --silent --fail http://127.0.0.1/readyz", 30)
            status, body = self.fleet.get(door, "/v1/auth/guest", "--request", "POST")
            self.assertEqual(status, 503)
            self.assertEqual(json.loads(body)["status"], 503)
            head = self.fleet.get(door, "/v1/subjects", "--dump-header", "-")[1].lower()
            self.assertIn("retry-after: ", head)
            self.assertIn("application/problem+json", head)
        self.bring_back(ENGINES)
        self.assert_nothing_lost(Load(self.fleet, "master", seconds=5).report())
