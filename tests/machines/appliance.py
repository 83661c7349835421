"""The appliance on a machine: what evaluation says a host will have, with the store's paths mapped
to this repository's binary and scripts and to the programs of the machine's /usr."""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import servers
from machine import Machine

REPOSITORY = Path(__file__).resolve().parents[2]
ROLLOUT = REPOSITORY / "nixos/rollout"
BINARY = Path(os.environ.get("QUIZMENTOR_BIN", REPOSITORY / "target/debug/quizmentor"))
STORE_PATH = re.compile(r"/nix/store/([0-9a-z]{32}-)?([\w.+-]+)")
# Ids of the users that evaluation declares, as the units name them.
USERS = {"quizmentor": 990, "haproxy": 991, "redis": 992, "postgres": 993}
TOKEN_KEY = "a-key-of-the-test-and-of-no-one-else-0123456789"
SECRETS = {
    "token-key": TOKEN_KEY,
    "records-password": "the-password-of-the-records",
    "cache-password": "the-password-of-the-cache",
    "vectors-api-key": "the-key-of-the-vectors",
}
SHELL = "#!/bin/bash\nset -euo pipefail\nexport PATH=/usr/sbin:/usr/bin\n"


@dataclass
class Release:
    """What an instance's slot runs: the repository's binary, or a script in its place."""

    settings: str
    program: str | None = None


@dataclass
class System:
    """A generation: its files by path below /etc, and its releases by instance."""

    number: int
    units: dict[str, str]
    etc: dict[str, str]
    releases: dict[str, Release] = field(default_factory=dict)


class Appliance:
    """A host of the fleet on its machine."""

    def __init__(self, machine: Machine, golden: Path) -> None:
        self.machine, self.golden = machine, golden
        for name, number in USERS.items():
            machine.add_user(name, number)
        for credential, path in self.credentials().items():
            self.seal(credential, SECRETS[credential])
            copy = f"d {Path(path).parent} 0751 root root -\nC {path} 0400 root root - /etc/sealed/{credential}\n"
            machine.write(f"/etc/tmpfiles.d/secret-{credential}.conf", copy)
        servers.install(machine, self.settings(), SECRETS)
        for directory in ("boot", "nix/var/nix/profiles", "nix/var/nix/gcroots"):
            (machine.root / directory).mkdir(parents=True)
        # The binary looks for its models beside its own folder.
        machine.binds = {str(BINARY): "/opt/bin/quizmentor", str(REPOSITORY / "models"): "/opt/share/quizmentor/models"}

    def credentials(self) -> dict[str, str]:
        """The files that the units take credentials from, by the credential's name."""
        units = "\n".join(path.read_text() for path in (self.golden / "units").glob("quizmentor-*.service"))
        return dict(re.findall(r"^LoadCredential=([^:\n]+):(.+)$", units, re.MULTILINE))

    def settings(self) -> str:
        return "\n".join(path.read_text() for path in sorted((self.golden / "quizmentor").glob("*.toml")))

    def seal(self, credential: str, secret: str) -> None:
        """Puts a secret where each boot finds it, as encrypted files would hold it."""
        self.machine.write(f"/etc/sealed/{credential}", secret, 0o400)

    def evaluated(self, number: int) -> System:
        """The host as it was evaluated, as a generation."""

        def texts(folder: str) -> dict[str, str]:
            base = self.golden / folder
            return {str(path.relative_to(base)): path.read_text() for path in sorted(base.rglob("*")) if path.is_file()}

        releases = {name.removesuffix(".toml"): Release(text) for name, text in texts("quizmentor").items()}
        return System(number, texts("units"), texts("etc"), releases)

    def install(self, system: System) -> str:
        """Puts the system into the machine's store, as a build or a copy would, and gives its path."""
        path = f"/nix/store/nixos-system-{self.machine.name}-{system.number}"
        instances = json.loads(system.etc["quizmentor/instances.json"])
        for name, release in system.releases.items():
            instances[name]["release"] = self._install_release(f"{name}-{system.number}", release)
        rendered = system.etc | {"quizmentor/instances.json": json.dumps(instances)}
        for name, text in rendered.items():
            self._store(text)
            self.machine.write(f"{path}/etc/{name}", text)
        for name, text in system.units.items():
            self._store(text)
            # What makes the unit another one when the releases are others: in evaluation, a path.
            if name == "quizmentor-rollout.service":
                text = re.sub(r"(X-Restart-Triggers=).*", rf"\g<1>{zlib.crc32(json.dumps(instances).encode())}", text)
            self.machine.write(f"{path}/etc/systemd/system/{name}", text)
        self._install_switch(path)
        return path

    def _install_release(self, name: str, release: Release) -> str:
        path = f"/nix/store/quizmentor-release-{name}"
        self.machine.write(f"{path}/quizmentor.toml", release.settings)
        if release.program is None:
            self.machine.link(f"{path}/bin/quizmentor", "/opt/bin/quizmentor")
        else:
            self.machine.write(f"{path}/bin/quizmentor", release.program, 0o755)
        return path

    def _install_switch(self, path: str) -> None:
        script = (Path(__file__).parent / "switch-to-configuration").read_text()
        self.machine.write(f"{path}/bin/switch-to-configuration", script, 0o755)
        self._script("quizmentor-guard", "guard")
        self._script("quizmentor-rollout", "rollout")
        self.machine.write(f"{path}/pre-switch-checks", f'{SHELL}exec /nix/store/quizmentor-guard/bin/quizmentor-guard arm "$@"\n', 0o755)
        self.machine.write(f"{path}/activate", ACTIVATE.replace("SYSTEM", path), 0o755)

    def _script(self, name: str, source: str) -> None:
        text = SHELL + (ROLLOUT / f"{source}.sh").read_text()
        self.machine.write(f"/nix/store/{name}/bin/{name}", text, 0o755)

    def _store(self, text: str) -> None:
        """Gives the store paths that the text names something to lead to."""
        for found in STORE_PATH.finditer(text):
            path, name = found.group(0), found.group(2)
            target = self.machine.root / path.lstrip("/")
            if target.is_symlink() or target.exists():
                continue
            if name in ("quizmentor-rollout", "quizmentor-guard"):
                self.machine.link(path, f"/nix/store/{name}")
            elif (ROLLOUT / name).exists():
                self.machine.write(path, (ROLLOUT / name).read_text())
            else:
                self._programs(path, text)

    def _programs(self, path: str, text: str) -> None:
        for program in re.findall(rf"{re.escape(path)}/s?bin/([\w.-]+)", text):
            found = shutil.which(program, path="/usr/sbin:/usr/bin")
            assert found, f"no {program} on this host for {path}"
            self.machine.link(f"{path}/bin/{program}", found)

    def boot_with(self, path: str) -> None:
        """Makes the system what the machine boots, and the first generation of the profile."""
        self.machine.link("/boot/default", path)
        self.set_profile(1, path)
        self.prepare_boot()

    def set_profile(self, number: int, path: str) -> None:
        """What `nix-env --set` does to the system's profile."""
        self.machine.link(f"/nix/var/nix/profiles/system-{number}-link", path)
        self.machine.link("/nix/var/nix/profiles/system", f"system-{number}-link")

    def prepare_boot(self) -> None:
        """What the boot loader and the first stage do: /etc of the system that boots by default."""
        path = str((self.machine.root / "boot/default").readlink())
        system = self.machine.root / path.lstrip("/")
        for file in (file for file in (system / "etc").rglob("*") if file.is_file()):
            name = file.relative_to(system / "etc")
            self.machine.link(f"/etc/{name}", f"{path}/etc/{name}")
        for unit in (system / "etc/systemd/system").iterdir():
            if "WantedBy=multi-user.target" in unit.read_text():
                self.machine.link(f"/etc/systemd/system/multi-user.target.wants/{unit.name}", f"../{unit.name}")
        self.machine.write("/etc/tmpfiles.d/current-system.conf", f"L+ /run/current-system - - - - {path}\n")

    def switch(self, number: int, path: str) -> tuple[int, str]:
        """What `nixos-rebuild switch` does once the system is built or copied."""
        self.set_profile(number, path)
        return self.machine.status(f"{path}/bin/switch-to-configuration switch 2>&1")


ACTIVATE = """#!/bin/bash
set -euo pipefail
for file in $(cd SYSTEM/etc && find . -type f); do
    mkdir --parents "/etc/$(dirname "$file")"
    ln --symbolic --force --no-dereference "SYSTEM/etc/$file" "/etc/$file"
done
ln --symbolic --force --no-dereference SYSTEM /run/current-system
systemd-tmpfiles --create /etc/tmpfiles.d/quizmentor.conf
"""
