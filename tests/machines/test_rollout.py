"""Rollout and rollback under load, and what happens to a release that is no good."""

from __future__ import annotations

import time

from appliance import System
from fleet import LEARNERS, FleetTest, Load

# A front door of another host, so that requests come through two machines.
DOOR = "master"
# Seconds until all learners practise. Each costs two requests more when it comes, which would be
# the greater part of the load if many came at once.
RAMP = max(6, LEARNERS // 100)


class Rollout(FleetTest):
    def switch(self, system: System) -> tuple[int, str]:
        """A switch that is kept at once: its trial is another test's."""
        result = self.appliance.switch(system)
        self.appliance.guard("disarm")
        return result

    def tearDown(self) -> None:
        code, output = self.appliance.roll_back()
        self.appliance.guard("disarm")
        self.assertEqual(code, 0, output)

    def pids(self) -> dict[str, str]:
        return {slot: self.appliance.pid(slot) for slot in self.appliance.slots().values()}

    def test_rollout_and_rollback_lose_nothing(self) -> None:
        before = self.appliance.slots()
        load = Load(self.fleet, DOOR, seconds=RAMP + 24, ramp=RAMP)
        time.sleep(RAMP)
        started = time.monotonic()
        code, output = self.switch(self.appliance.changed())
        self.assertEqual(code, 0, output)
        print(f"\n    switch: {time.monotonic() - started:.1f} s; {self.until_moved():.1f} s of them until the traffic moved", end="", flush=True)
        after = self.appliance.slots()
        for instance, slot in after.items():
            self.assertNotEqual(slot, before[instance])
            self.assertEqual(self.machine.property(f"quizmentor-{before[instance]}.service", "ActiveState"), "inactive")
        code, output = self.appliance.roll_back()
        self.assertEqual(code, 0, output)
        self.assertEqual(self.appliance.slots(), before)
        self.assert_nothing_lost(load.report())

    def until_moved(self) -> float:
        """Seconds from the last rollout's start to the traffic on the new slots."""
        lines = self.machine.journal("quizmentor-rollout.service").splitlines()
        times = [float(line.split("]")[0].strip("[ ")) for line in lines]
        moved = max(index for index, line in enumerate(lines) if "rollout: serving from" in line)
        began = max(index for index, line in enumerate(lines[:moved]) if "Starting quizmentor-rollout" in line)
        return times[moved] - times[began]

    def test_a_release_that_is_no_good_gets_no_traffic(self) -> None:
        web_alone = """#!/bin/bash
            [[ $1 == serve ]] || exec /opt/bin/quizmentor "$@"
            exec /opt/bin/quizmentor serve --role jobs "${@:2}"
        """
        bad = {
            "fails its smoke test of the role": self.appliance.changed(program=web_alone),
            "a new slot does not start": self.appliance.changed(program="#!/bin/bash\n[[ $1 == config ]]\n"),
            "have mistakes": self.appliance.changed("[sever]\nlisten = 1\n"),
        }
        slots, pids = self.appliance.slots(), self.pids()
        load = Load(self.fleet, DOOR, seconds=RAMP + 19, ramp=RAMP)
        time.sleep(RAMP)
        for reason, system in bad.items():
            with self.subTest(reason):
                code, output = self.switch(system)
                self.assertEqual(code, 4, output)
                self.assertEqual((self.appliance.slots(), self.pids()), (slots, pids))
                self.assertIn(reason, self.machine.journal("quizmentor-rollout.service"))
                self.assertEqual(self.machine.property("quizmentor-rollout.service", "Result"), "exit-code")
        # The first of them would have answered learners with 404.
        self.assert_nothing_lost(load.report())

    def test_a_switch_without_a_change_leaves_the_slots_alone(self) -> None:
        pids = self.pids()
        self.machine.run("systemctl restart quizmentor-rollout.service")
        self.assertEqual(self.pids(), pids)

    def test_a_new_secret_is_rolled_out(self) -> None:
        before = self.appliance.slots()
        self.appliance.seal("vectors-api-key", "another-key-of-the-vectors")
        self.machine.run("cat /etc/sealed/vectors-api-key >/run/secrets/vectors-api-key; systemctl restart quizmentor-rollout.service")
        after = self.appliance.slots()
        self.assertTrue(all(after[instance] != before[instance] for instance in before))
        process = self.appliance.pid(next(iter(after.values())))
        self.assertNotEqual(process, "0")

    def test_the_serving_slot_outlives_a_power_loss(self) -> None:
        code, output = self.switch(self.appliance.changed())
        self.assertEqual(code, 0, output)
        slots = self.appliance.slots()
        self.appliance.reboot_after_power_loss()
        self.fleet.await_ready(DOOR)
        self.assertEqual(self.appliance.slots(), slots)
        self.assertIn("everything is served as configured", self.machine.journal("quizmentor-rollout.service"))
