"""Rollout and rollback under load, and what happens to a release that is no good."""

from __future__ import annotations

import time

from appliance import Release, System
from fleet import ENGINES, FleetTest, Load

SETTLE = 6


class Rollout(FleetTest):
    hosts = ("master", ENGINES)
    number = 1

    def changed(self, settings: str = "", program: str | None = None) -> System:
        """The host's next generation, with `settings` added to those of every instance."""
        Rollout.number += 1
        system = self.appliance.evaluated(self.number)
        for name, release in system.releases.items():
            system.releases[name] = Release(release.settings + settings.format(number=self.number), program)
        # The trial of each generation is the guard's test.
        del system.units["quizmentor-guard.service"]
        return system

    def switch(self, system: System) -> tuple[int, str]:
        path = self.appliance.install(system)
        result = self.appliance.switch(system.number, path)
        self.machine.run("/nix/store/quizmentor-guard/bin/quizmentor-guard disarm")
        return result

    def slots(self) -> dict[str, str]:
        lines = self.machine.run("cat /var/lib/quizmentor-rollout/slots.map").splitlines()
        return {instance: slot for instance, slot in (line.split() for line in lines)}

    def pids(self) -> dict[str, str]:
        return {slot: self.machine.property(f"quizmentor-{slot}.service", "MainPID") for slot in self.slots().values()}

    def test_rollout_and_rollback_lose_nothing(self) -> None:
        before = self.slots()
        load = Load(self.fleet, "master", seconds=30)
        time.sleep(SETTLE)
        started = time.monotonic()
        code, output = self.switch(self.changed("# generation {number}\n"))
        self.assertEqual(code, 0, output)
        print(f"\n    switch with rollout: {time.monotonic() - started:.1f} s", end="", flush=True)
        after = self.slots()
        for instance, slot in after.items():
            self.assertNotEqual(slot, before[instance])
            self.assertEqual(self.machine.property(f"quizmentor-{before[instance]}.service", "ActiveState"), "inactive")
        self.go_back()
        self.assertEqual(self.slots(), before)
        self.assert_nothing_lost(load.report())

    def test_a_switch_without_a_change_leaves_the_slots_alone(self) -> None:
        system = self.appliance.evaluated(1)
        pids = self.pids()
        code, output = self.switch(system)
        self.assertEqual(code, 0, output)
        self.assertEqual(self.pids(), pids)

    def test_a_release_that_is_no_good_gets_no_traffic(self) -> None:
        without_roles = """#!/bin/bash
            [[ $1 == serve ]] || exec /opt/bin/quizmentor "$@"
            exec /opt/bin/quizmentor serve --role web "${@:2}"
        """
        bad = {
            "fails its smoke test of the role": self.changed(program=without_roles),
            "a new slot does not start": self.changed(program='#!/bin/bash\n[[ $1 == config ]]\n'),
            "have mistakes": self.changed("[sever]\nlisten = 1\n"),
        }
        slots, pids = self.slots(), self.pids()
        load = Load(self.fleet, "master", seconds=25)
        time.sleep(SETTLE)
        for reason, system in bad.items():
            with self.subTest(reason):
                code, output = self.switch(system)
                self.assertEqual(code, 4, output)
                self.assertEqual((self.slots(), self.pids()), (slots, pids))
                self.assertIn(reason, self.machine.journal("quizmentor-rollout.service"))
                self.assertEqual(self.machine.property("quizmentor-rollout.service", "Result"), "exit-code")
        # The first of them would have answered learners with 404.
        self.assert_nothing_lost(load.report())
        self.go_back()
        self.assertEqual((self.slots(), self.pids()), (slots, pids))

    def go_back(self) -> None:
        """What `nixos-rebuild switch --rollback` does, to the first generation."""
        code, output = self.appliance.switch(1, f"/nix/store/nixos-system-{ENGINES}-1")
        self.assertEqual(code, 0, output)
        self.machine.run("/nix/store/quizmentor-guard/bin/quizmentor-guard disarm")

    def test_a_new_secret_is_rolled_out(self) -> None:
        before = self.slots()
        self.appliance.seal("token-key", "another-key-of-the-test-and-of-no-one-else-9876543210")
        self.machine.run(f"cat /etc/sealed/token-key >{self.appliance.credentials()['token-key']}; systemctl restart quizmentor-rollout.service")
        after = self.slots()
        self.assertTrue(all(after[instance] != before[instance] for instance in before))

    def test_the_serving_slot_outlives_a_power_loss(self) -> None:
        code, output = self.switch(self.changed("# generation {number}\n"))
        self.assertEqual(code, 0, output)
        slots = self.slots()
        self.machine.lose_power()
        self.appliance.prepare_boot()
        self.machine.boot()
        self.fleet.await_ready("master")
        self.assertEqual(self.slots(), slots)
        self.assertIn("everything is served as configured", self.machine.journal("quizmentor-rollout.service"))
