"""Each host lost in turn: what still works, and that all works again when it is back."""

from __future__ import annotations

import json

from fleet import ADDRESSES, ENGINES, FleetTest, Load

RECORDS = "worker-2"


class Loss(FleetTest):
    def bring_back(self, host: str) -> None:
        self.fleet.appliances[host].prepare_boot()
        self.fleet.machines[host].boot()
        for door in ADDRESSES:
            self.fleet.await_ready(door)

    def test_without_the_control_plane_learning_goes_on(self) -> None:
        load = Load(self.fleet, RECORDS, seconds=12)
        self.fleet.machines["master"].lose_power()
        self.assert_nothing_lost(load.report())
        self.bring_back("master")

    def test_without_the_engines_the_reserve_serves(self) -> None:
        before = Load(self.fleet, "master", seconds=12)
        self.fleet.machines["master"].until("curl --silent --fail http://127.0.0.1/v1/subjects")
        self.fleet.machines[ENGINES].lose_power()
        self.fleet.machines["master"].until("curl --silent --fail --max-time 1 http://127.0.0.1/v1/subjects", 10)
        report = before.report()
        # Requests that were under way there have failed; what was acknowledged stays.
        self.assertEqual(report["answers_found"], report["answers_acknowledged"])
        self.assertEqual((report["counted_twice"], report["learners_unread"]), (0, 0))
        self.assert_nothing_lost(Load(self.fleet, "master", seconds=8).report())
        self.bring_back(ENGINES)

    def test_without_the_records_requests_are_refused_and_nothing_acknowledged_is_lost(self) -> None:
        before = Load(self.fleet, "master", seconds=8).report()
        self.assert_nothing_lost(before)
        pids = {slot: self.appliance.pid(slot) for slot in self.appliance.slots().values()}
        self.fleet.machines[RECORDS].lose_power()
        self.fleet.machines["master"].until("! curl --silent --fail http://127.0.0.1/readyz", 60)
        status, body = self.fleet.get("master", "/v1/auth/guest", "--request", "POST", "--dump-header", "-")
        self.assertEqual(status, 503)
        head, _, body = body.replace("\r", "").partition("\n\n")
        self.assertIn("retry-after: ", head.lower())
        self.assertIn("application/problem+json", head.lower())
        self.assertEqual(json.loads(body)["status"], 503)
        self.bring_back(RECORDS)
        self.assertEqual({slot: self.appliance.pid(slot) for slot in pids}, pids, "nothing had to be restarted")
        self.assert_nothing_lost(Load(self.fleet, "master", seconds=5).report())
