"""The appliance on a machine: what evaluation says a host will have (tests/golden), with the store's
paths mapped to this repository's binary and to the programs of the machine's /usr."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from machine import Machine

REPOSITORY = Path(__file__).resolve().parents[2]
UNLEASH = REPOSITORY / "target/unleash"
BINARY = Path(os.environ.get("QUIZMENTOR_BIN", REPOSITORY / "target/debug/quizmentor"))
STORE_PATH = re.compile(r"/nix/store/([\w.+?=-]+)")
SECRET = re.compile(r"/run/secrets/([\w/-]+)")
# What of a host runs here; the rest needs programs that Debian does not have.
OWN_UNITS = re.compile(
    r"haproxy\.service|quizmentor\.slice|quizmentor-(rollout|guard)\.service|quizmentor-\w+-(blue|green)\.(service|socket)"
    r"|postgresql(-setup)?\.service|quizmentor-records-.*|redis-quizmentor\.service|quizmentor-backup-directories\.service"
    r"|prometheus(-\w+-exporter)?\.service|alertmanager\.service|unleash\.service"
)
# Not with the machine, for its migrations would take the processors from the other tests.
STARTED_BY_ITS_TEST = "unleash.service"
OWN_FILES = ("haproxy.cfg", "quizmentor/instances.json", "quizmentor/guard.json")
# What is nixpkgs' own, and so not among the golden files.
RECORDS_TARGET = "[Unit]\nRequires=postgresql.service postgresql-setup.service\n[Install]\nWantedBy=multi-user.target\n"
# Programs that Debian gives another name.
DEBIAN = {
    "alertmanager": "prometheus-alertmanager",
    "node_exporter": "prometheus-node-exporter",
    "postgres_exporter": "prometheus-postgres-exporter",
    "redis_exporter": "prometheus-redis-exporter",
}
# nixpkgs' has options that Debian's has not; what it reads names no variables.
ENVSUBST = '#!/bin/bash\n[[ $1 == -o && $3 == -i ]] && ! grep --quiet "[$]" "$4" && exec cp "$4" "$2"\n'
# What makeWrapper makes of it in the package.
UNLEASH_SERVER = "#!/bin/bash\nexec /opt/unleash/bin/node /opt/unleash/node_modules/unleash-server/dist/server.js\n"
# Monitoring in haste: what takes a minute on a server takes seconds here; not where a load is measured.
HASTE = {} if "MACHINES_LEARNERS" in os.environ else {"15s": "1s", "for: 1m\n": "for: 3s\n"}
SLOTS = "/var/lib/quizmentor-rollout/slots.map"
TMPFILES = f"d /var/lib/quizmentor-rollout\nf {SLOTS}\nd /backup 0755 postgres postgres\nd /var/lib/quizmentor-metrics 0775\n"
PROGRAMS = ("/usr/sbin", "/usr/bin", str(max(Path("/usr/lib/postgresql").glob("*/bin"), default="/usr/bin")))


def secret(name: str) -> str:
    """The content of the secret, of this test and of no other machine."""
    begin = "*:production." if name == "unleash-client-token" else ""
    return f"{begin}the-{name.replace('/', '-')}-of-the-test-0123456789abcdef"


TOKEN_KEY = secret("quizmentor/token-key")


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
        self._generations = itertools.count(2)
        machine.link("/etc/systemd/system/multi-user.target.wants/postgresql.target", "../postgresql.target")
        machine.write("/etc/tmpfiles.d/appliance.conf", TMPFILES)
        for directory in ("boot", "nix/var/nix/profiles", "nix/var/nix/gcroots"):
            (machine.root / directory).mkdir(parents=True)
        # The binary looks for its models beside its own folder.
        machine.binds = {str(BINARY): "/opt/bin/quizmentor", str(REPOSITORY / "models"): "/opt/share/quizmentor/models"}
        if UNLEASH.is_dir():
            machine.binds[str(UNLEASH)] = "/opt/unleash"
        self._fill_store()
        system = self.evaluated(1)
        self._make_users(system)
        self._seal_secrets(system)
        self._boot_with(self.install(system))

    def _fill_store(self) -> None:
        """Every path that the golden files name: theirs, or the host's programs for a package."""
        for directory, program in ((folder, file) for folder in PROGRAMS for file in Path(folder).iterdir()):
            self.machine.link(f"/opt/programs/{program.name}", f"{directory}/{program.name}")
        for name, debian in DEBIAN.items():
            self.machine.link(f"/opt/programs/{name}", f"/usr/bin/{debian}")
        self.machine.write("/opt/programs/envsubst", ENVSUBST, 0o755)
        self.machine.write("/opt/programs/unleash-server", UNLEASH_SERVER, 0o755)
        texts = self._texts("store")
        for name, text in texts.items():
            if name.startswith(("prometheus.yml", "rules")):
                text = functools.reduce(lambda text, times: text.replace(*times), HASTE.items(), text)
            self.machine.write(f"/nix/store/{name}", text, 0o755 if text.startswith("#!") else 0o644)
        own = {name.split("/")[0] for name in texts}
        for text in itertools.chain(texts.values(), self._texts("units").values(), self._texts("etc").values()):
            for name in set(STORE_PATH.findall(text)) - own:
                own.add(name)
                if (REPOSITORY / "nixos/rollout" / name).is_file():
                    self.machine.write(f"/nix/store/{name}", (REPOSITORY / "nixos/rollout" / name).read_text())
                elif not name.startswith("quizmentor-release-"):
                    self.machine.link(f"/nix/store/{name}/bin", "/opt/programs")
                    self.machine.link(f"/nix/store/{name}/sbin", "/opt/programs")

    def _make_users(self, system: System) -> None:
        named = re.findall(r"^User=([\w-]+)$", "\n".join(system.units.values()), re.MULTILINE)
        for number, name in enumerate(sorted({*named, "postgres"} - {"root"}), 900):
            self.machine.add_user(name, number)

    def _seal_secrets(self, system: System) -> None:
        """Puts secrets where each boot finds them, as encrypted files would hold them."""
        texts = itertools.chain(system.units.values(), self._texts("store").values())
        names = sorted({name for text in texts for name in SECRET.findall(text)})
        lines = ["d /run/secrets 0751 root root"]
        for name in names:
            self.seal(name, secret(name))
            if "/" in name:
                lines.append(f"d /run/secrets/{name.split('/')[0]} 0751 root root")
            lines.append(f"C /run/secrets/{name} 0400 root root - /etc/sealed/{name}")
        self.machine.write("/etc/tmpfiles.d/secrets.conf", "\n".join(lines) + "\n")

    def seal(self, name: str, content: str) -> None:
        self.machine.write(f"/etc/sealed/{name}", content, 0o400)

    def _texts(self, folder: str) -> dict[str, str]:
        base = self.golden / folder
        return {str(path.relative_to(base)): path.read_text() for path in sorted(base.rglob("*")) if path.is_file()}

    @property
    def first(self) -> str:
        """The system that the machine was booted with."""
        return f"/nix/store/nixos-system-{self.machine.name}-1"

    def evaluated(self, number: int) -> System:
        """The host as it was evaluated, as a generation."""
        units = {name: text for name, text in self._texts("units").items() if OWN_UNITS.fullmatch(name)}
        if "postgresql.service" in units:
            units["postgresql.target"] = RECORDS_TARGET
        etc = {name: text for name, text in self._texts("etc").items() if name in OWN_FILES}
        # There is no SSH here to be healthy.
        limits = json.loads(etc["quizmentor/guard.json"])
        limits["checks"] = [check for check in limits["checks"] if "sshd.service" not in check]
        etc["quizmentor/guard.json"] = json.dumps(limits)
        releases = {name.removesuffix(".toml"): Release(text) for name, text in self._texts("quizmentor").items()}
        return System(number, units, etc, releases)

    def changed(self, settings: str = "", program: str | None = None, **guard: int) -> System:
        """The next generation: releases with lines added to their settings, or with another
        program, and the guard's times."""
        system = self.evaluated(next(self._generations))
        for name, release in system.releases.items():
            text = f"{release.settings}# generation {system.number}\n{settings}"
            system.releases[name] = Release(text, program)
        limits = json.loads(system.etc["quizmentor/guard.json"])
        system.etc["quizmentor/guard.json"] = json.dumps(limits | guard)
        return system

    def install(self, system: System) -> str:
        """Puts the system into the machine's store, as a build or a copy would, and gives its path."""
        path = f"/nix/store/nixos-system-{self.machine.name}-{system.number}"
        if (self.machine.root / path.lstrip("/")).exists():
            return path
        instances = json.loads(system.etc["quizmentor/instances.json"])
        for name, release in system.releases.items():
            instances[name]["release"] = self._install_release(f"{name}-{system.number}", release)
        files = system.etc | {"quizmentor/instances.json": json.dumps(instances)}
        for name, text in files.items():
            self.machine.write(f"{path}/etc/{name}", text)
        for name, text in system.units.items():
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
        shutil.copy2(Path(__file__).parent / "switch-to-configuration", self._parent(f"{path}/bin/switch-to-configuration"))
        guard = "/nix/store/quizmentor-guard/bin/quizmentor-guard"
        self.machine.write(f"{path}/pre-switch-checks", f'#!/bin/bash\nexec {guard} arm "$@"\n', 0o755)

    def _parent(self, path: str) -> Path:
        file = self.machine.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def _boot_with(self, path: str) -> None:
        """Makes the system what the machine boots, and the first generation of the profile."""
        self.machine.link("/boot/default", path)
        self._set_profile(1, path)
        self.prepare_boot()

    def _set_profile(self, number: int, path: str) -> None:
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
            wanting = [] if unit.name == STARTED_BY_ITS_TEST else re.findall(r"^WantedBy=(.+)$", unit.read_text(), re.MULTILINE)
            for target in wanting:
                self.machine.link(f"/etc/systemd/system/{target}.wants/{unit.name}", f"../{unit.name}")
        self.machine.write("/etc/tmpfiles.d/current-system.conf", f"L+ /run/current-system - - - - {path}\n")

    def switch(self, system: System) -> tuple[int, str]:
        """What `nixos-rebuild switch` does, given a build: exit status and output."""
        path = self.install(system)
        self._set_profile(system.number, path)
        return self.machine.status(f"{path}/bin/switch-to-configuration switch")

    def roll_back(self) -> tuple[int, str]:
        """What `nixos-rebuild switch --rollback` does, to the first generation."""
        self._set_profile(1, self.first)
        return self.machine.status(f"{self.first}/bin/switch-to-configuration switch")

    def records(self, command: str) -> str:
        """Output of the operators' command of the records."""
        return self.machine.run(f"/nix/store/quizmentor-records/bin/quizmentor-records {command}")

    def door(self, command: str) -> str:
        """The front door's answer to a command at its admin socket."""
        return self.machine.run(f"socat - unix-connect:/run/haproxy/admin.sock <<<'{command}'")

    def guard(self, command: str) -> tuple[int, str]:
        return self.machine.status(f"/nix/store/quizmentor-guard/bin/quizmentor-guard {command}")

    def reboot_after_power_loss(self) -> None:
        self.machine.lose_power()
        self.prepare_boot()
        self.machine.boot()

    def slots(self) -> dict[str, str]:
        """The slot that serves each instance, such as `adaptive-blue`."""
        lines = self.machine.run(f"cat {SLOTS}").splitlines()
        return {instance: slot for instance, slot in (line.split() for line in lines)}

    def await_slots(self) -> None:
        """Waits until all of them serve."""
        units = f"$(sed 's/.* \\(.*\\)/quizmentor-\\1.service/' {SLOTS})"
        self.machine.until(f"test -s {SLOTS} && ! systemctl is-active {units} | grep --invert-match '^active$'", 120)

    def pid(self, slot: str) -> str:
        return self.machine.property(f"quizmentor-{slot}.service", "MainPID")
