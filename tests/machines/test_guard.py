"""The guard: back to the previous system, unless the new one is healthy and confirmed."""

from __future__ import annotations

from fleet import FleetTest


class Guard(FleetTest):
    # It has one instance alone, so that a switch is short.
    host = "master"

    def await_verdict(self) -> None:
        self.machine.until("/nix/store/quizmentor-guard/bin/quizmentor-guard status", 120)

    def systems(self) -> set[str]:
        """What runs, what the profile leads to and what boots."""
        return set(self.machine.run("realpath /run/current-system /nix/var/nix/profiles/system /boot/default").split())

    def last_revert(self) -> str:
        return self.machine.run("tail -n 1 /var/lib/quizmentor-guard/reverts")

    def tearDown(self) -> None:
        self.appliance.guard("disarm")
        if self.systems() != {self.appliance.first}:
            code, output = self.appliance.roll_back()
            self.assertEqual(code, 0, output)
            self.appliance.guard("disarm")

    def test_a_confirmed_system_stays(self) -> None:
        system = self.appliance.changed(window=180, patience=180)
        self.assertEqual(self.appliance.switch(system)[0], 0)
        self.assertEqual(self.appliance.guard("status")[0], 1, "it is on trial")
        code, output = self.appliance.guard("confirm")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.appliance.guard("status")[0], 0)
        self.assertEqual(self.systems(), {self.appliance.install(system)})

    def test_without_confirmation_it_goes_back(self) -> None:
        self.assertEqual(self.appliance.switch(self.appliance.changed(window=20, patience=1))[0], 0)
        self.await_verdict()
        self.assertEqual(self.systems(), {self.appliance.first})
        self.assertIn("not confirmed in time", self.last_revert())
        self.fleet.await_ready(self.host)
        for slot in self.appliance.slots().values():
            release = self.machine.run(f"readlink /nix/var/nix/gcroots/quizmentor/{slot}").strip()
            self.assertTrue(release.endswith("-1"), f"the first release serves again, not {release}")

    def test_an_unhealthy_system_goes_back_though_confirmed(self) -> None:
        broken = self.appliance.changed(program="#!/bin/bash\n[[ $1 == config ]]\n", window=3, patience=600)
        self.assertEqual(self.appliance.switch(broken)[0], 4, "the switch fails loudly")
        self.machine.run("touch /var/lib/quizmentor-guard/confirmed")
        self.await_verdict()
        self.assertEqual(self.systems(), {self.appliance.first})
        self.assertIn("not healthy", self.last_revert())
        self.assertEqual(self.machine.run("systemctl --failed --no-legend --plain").strip(), "")

    def test_a_trial_outlives_a_power_loss(self) -> None:
        system = self.appliance.changed(window=20, patience=1)
        self.assertEqual(self.appliance.switch(system)[0], 0)
        self.appliance.reboot_after_power_loss()
        self.assertIn(self.appliance.install(system), self.systems())
        self.await_verdict()
        self.assertEqual(self.systems(), {self.appliance.first})

    def test_two_switches_on_trial_lead_back_to_the_confirmed_system(self) -> None:
        for _ in range(2):
            self.assertEqual(self.appliance.switch(self.appliance.changed(window=120, patience=60))[0], 0)
        code, output = self.appliance.guard("revert")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.systems(), {self.appliance.first})
