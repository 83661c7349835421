"""The guard: back to the previous system, unless the new one is healthy and confirmed."""

from __future__ import annotations

import json

from appliance import Release, System
from fleet import ENGINES, FleetTest

GUARD = "/nix/store/quizmentor-guard/bin/quizmentor-guard"
FIRST = f"/nix/store/nixos-system-{ENGINES}-1"


class Guard(FleetTest):
    hosts = (ENGINES,)
    number = 1

    def changed(self, window: int, patience: int, program: str | None = None) -> System:
        Guard.number += 1
        system = self.appliance.evaluated(self.number)
        settings = json.loads(system.etc["quizmentor/guard.json"])
        system.etc["quizmentor/guard.json"] = json.dumps(settings | {"window": window, "patience": patience})
        for name, release in system.releases.items():
            system.releases[name] = Release(f"# generation {self.number}\n{release.settings}", program)
        return system

    def switch(self, system: System) -> tuple[str, int]:
        path = self.appliance.install(system)
        return path, self.appliance.switch(system.number, path)[0]

    def await_verdict(self) -> None:
        self.machine.until(f"{GUARD} status", 90)

    def systems(self) -> set[str]:
        """What runs, what the profile leads to and what boots."""
        return set(self.machine.run("realpath /run/current-system /nix/var/nix/profiles/system /boot/default").split())

    def setUp(self) -> None:
        """Each test begins with the first system, nothing on trial."""
        if self.systems() != {FIRST}:
            self.machine.run(f"{GUARD} disarm")
            self.assertEqual(self.appliance.switch(1, FIRST)[0], 0)
            self.machine.run(f"{GUARD} disarm")

    def test_a_confirmed_system_stays(self) -> None:
        path, code = self.switch(self.changed(window=30, patience=60))
        self.assertEqual(code, 0)
        self.assertEqual(self.machine.status(f"{GUARD} status")[0], 1, "it is on trial")
        self.machine.run(f"{GUARD} confirm")
        self.await_verdict()
        self.assertEqual(self.systems(), {path})
        self.assertIn("healthy and confirmed", self.machine.journal("quizmentor-guard-watch.service"))

    def test_without_confirmation_it_goes_back(self) -> None:
        path, code = self.switch(self.changed(window=15, patience=1))
        self.assertEqual(code, 0)
        self.await_verdict()
        self.assertEqual(self.systems(), {FIRST})
        self.assertIn("not confirmed in time", self.machine.run("tail -n 1 /var/lib/quizmentor-guard/reverts"))
        self.fleet.await_ready(ENGINES)
        release = self.machine.run("readlink /nix/var/nix/gcroots/quizmentor/$(sed 's/.* //;q' /var/lib/quizmentor-rollout/slots.map)").strip()
        self.assertTrue(release.endswith("-1"), f"the old release serves again, not {release}")

    def test_an_unhealthy_system_goes_back_though_confirmed(self) -> None:
        path, code = self.switch(self.changed(window=3, patience=600, program="#!/bin/bash\n[[ $1 == config ]]\n"))
        self.assertEqual(code, 4, "the switch fails loudly")
        self.machine.run("touch /var/lib/quizmentor-guard/confirmed")
        self.await_verdict()
        self.assertEqual(self.systems(), {FIRST})
        self.assertIn("not healthy", self.machine.run("tail -n 1 /var/lib/quizmentor-guard/reverts"))
        self.assertEqual(self.machine.run("systemctl --failed --no-legend --plain").strip(), "")

    def test_a_trial_outlives_a_power_loss(self) -> None:
        path, code = self.switch(self.changed(window=8, patience=4))
        self.assertEqual(code, 0)
        self.machine.lose_power()
        self.appliance.prepare_boot()
        self.machine.boot()
        self.assertIn(path, self.systems())
        self.await_verdict()
        self.assertEqual(self.systems(), {FIRST})
        self.fleet.await_ready(ENGINES)

    def test_two_switches_on_trial_lead_back_to_the_confirmed_system(self) -> None:
        self.assertEqual(self.switch(self.changed(window=60, patience=60))[1], 0)
        self.assertEqual(self.switch(self.changed(window=60, patience=60))[1], 0)
        self.machine.run(f"{GUARD} revert")
        self.assertEqual(self.systems(), {FIRST})
