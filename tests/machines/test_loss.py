"""Each host lost in turn: what still works, and that all works again when it is back."""

from __future__ import annotations

import csv
import json
import time

from fleet import ADDRESSES, ENGINES, FleetTest, Load
from machine import Machine

RECORDS, STANDBY = "worker-2", "worker-1"


class Loss(FleetTest):
    def bring_back(self, host: str) -> None:
        self.fleet.appliances[host].prepare_boot()
        self.fleet.machines[host].boot()
        self.fleet.appliances[host].await_slots()
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

    def test_the_standby_takes_over_by_one_command(self) -> None:
        self.assert_nothing_lost(Load(self.fleet, "master", seconds=8).report())
        kept = self.answers(RECORDS)
        self.await_answers(STANDBY, kept)
        self.fleet.machines[RECORDS].lose_power()
        self.assertIn("promoted: primary, timeline 2", self.fleet.appliances[STANDBY].records("promote"))
        self.await_found(STANDBY, RECORDS)
        self.assertEqual(self.answers(STANDBY), kept, "every acknowledged answer is there")
        self.assert_nothing_lost(Load(self.fleet, "master", seconds=6).report())
        more = self.answers(STANDBY)
        self.assertGreater(more, kept)

        # The old primary comes back: it follows, and nobody is sent to it.
        self.bring_back(RECORDS)
        self.assertIn("standby", self.fleet.appliances[RECORDS].records("status"))
        self.await_found(STANDBY, RECORDS)
        self.await_answers(RECORDS, more)
        self.assert_nothing_lost(Load(self.fleet, "master", seconds=4).report())

        # And back again, in order.
        self.fleet.machines[STANDBY].run("systemctl stop postgresql.service")
        self.fleet.appliances[RECORDS].records("promote")
        self.assertEqual(self.fleet.machines[STANDBY].status("systemctl start postgresql.service; systemctl is-active postgresql.service"), (0, "active\n"), self.fleet.machines[STANDBY].journal("postgresql.service")[-4000:])
        self.await_found(RECORDS, STANDBY)
        self.await_answers(STANDBY, self.answers(RECORDS))
        self.assertIn("standby", self.fleet.appliances[STANDBY].records("status"))

    def await_found(self, primary: str, other: str) -> None:
        """Waits until all front doors send everybody to the primary, and serve learners by it."""
        begun = time.monotonic()
        up = [machine for machine in self.fleet.machines.values() if machine.is_running]
        while any(self.doors_of_the_records(machine) != {primary: "UP", other: "DOWN"} for machine in up):
            self.assertLess(time.monotonic(), begun + 60)
            time.sleep(0.2)
        for machine in up:
            machine.until("curl --silent --fail http://127.0.0.1/readyz && curl --silent --fail --request POST http://127.0.0.1/v1/auth/guest", 60)
        print(f"\n    {time.monotonic() - begun:.1f} s until all doors serve by {primary}", end="", flush=True)

    def answers(self, host: str) -> int:
        """How many answers the host's own server has."""
        count = "/opt/programs/psql --username=postgres --no-psqlrc --tuples-only --no-align --dbname=quizmentor --command='SELECT count(*) FROM answers'"
        return int(self.fleet.machines[host].until(count))

    def await_answers(self, host: str, expected: int) -> None:
        deadline = time.monotonic() + 30
        while (there := self.answers(host)) != expected:
            if time.monotonic() > deadline:
                self.fail(f"{host} has {there} answers, not {expected}\n{self.fleet.machines[host].journal('postgresql.service')[-3000:]}")
            time.sleep(0.2)

    def doors_of_the_records(self, machine: Machine) -> dict[str, str]:
        """Whether the machine's front door sends anybody to each server of the records."""
        stat = self.fleet.appliances[machine.name].door("show stat")
        rows = list(csv.DictReader(stat.lstrip("# ").splitlines()))
        return {row["svname"]: row["status"].split()[0] for row in rows if row["pxname"] == "records" and row["svname"] in ADDRESSES}
