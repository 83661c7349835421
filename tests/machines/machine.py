"""Machines: systemd as PID 1 in namespaces of this host, over this host's own /usr.

Each has a root of its own, of which only /usr is shared, read-only; a network address on a bridge
in a network namespace of the test; and a cgroup of its own. Killing a machine's PID 1 is its
power loss.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
# Longer than any boot or stop; one that takes this long has failed.
PATIENCE = 180.0
# What a root takes over from the host's /etc, because programs in /usr look for it there.
FROM_HOST = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "protocols", "services")
MASKED = (
    "console-getty.service",
    "getty@tty1.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
)


class CommandFailed(Exception):
    """A command in a machine had another exit status than 0."""


class Network:
    """A network namespace with a bridge; the test itself has an address in it."""

    def __init__(self, gateway: str) -> None:
        self.name = f"machines-{os.getpid()}"
        self.gateway = gateway

    def __enter__(self) -> Network:
        host("ip", "netns", "add", self.name)
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "link", "add", "fleet", "type", "bridge", "forward_delay", "0")
        self.inside("ip", "address", "add", f"{self.gateway}/24", "dev", "fleet")
        self.inside("ip", "link", "set", "fleet", "up")
        return self

    def __exit__(self, *_: object) -> None:
        host("ip", "netns", "delete", self.name)

    def command(self, *command: str) -> list[str]:
        """The command line that runs `command` in this network."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]

    def inside(self, *command: str) -> str:
        return host(*self.command(*command))


class Guest:
    """What every machine has, whatever boots it: a root that can be written before, and a shell."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory / name
        self.root = self.directory / "root"
        self._make_root()

    def _make_root(self) -> None:
        root = self.root
        for path in ("usr", "etc/systemd/system", "var/lib", "var/log/journal", "run", "tmp", "root", "proc", "sys", "dev", "nix/store"):
            (root / path).mkdir(parents=True)
        for link in ("bin", "sbin", "lib", "lib64"):
            (root / link).symlink_to(f"usr/{link}")
        for name in FROM_HOST:
            source = Path("/etc") / name
            if source.is_dir():
                shutil.copytree(source, root / "etc" / name, symlinks=True)
            elif source.exists():
                shutil.copy2(source, root / "etc" / name)
        self.write("/etc/passwd", "root:x:0:0::/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n")
        self.write("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
        self.add_user("messagebus", 899)
        self.write("/etc/hostname", f"{self.name}\n")
        self.write("/etc/machine-id", f"{uuid.uuid4().hex}\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost {self.name}\n")
        shutil.copy2("/usr/lib/os-release", root / "etc/os-release")
        for unit in MASKED:
            (root / "etc/systemd/system" / unit).symlink_to("/dev/null")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Writes a file of the machine, whether it runs or not."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def link(self, path: str, target: str) -> None:
        """Makes or moves a symbolic link of the machine."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.symlink_to(target)

    def add_user(self, name: str, number: int) -> None:
        with (self.root / "etc/passwd").open("a") as passwd:
            passwd.write(f"{name}:x:{number}:{number}::/var/empty:/bin/false\n")
        with (self.root / "etc/group").open("a") as group:
            group.write(f"{name}:x:{number}:\n")

    def status(self, script: str, timeout: float = 120) -> tuple[int, str]:
        """Exit status and output of a shell script."""
        raise NotImplementedError

    def run(self, script: str, timeout: float = 120) -> str:
        """Output of a shell script that must succeed."""
        code, output = self.status(script, timeout)
        if code != 0:
            raise CommandFailed(f"{self.name}: {script}\nexit status {code}\n{output}")
        return output

    def until(self, script: str, seconds: float = 30) -> str:
        """Output of a shell script once it succeeds."""
        deadline = time.monotonic() + seconds
        while True:
            code, output = self.status(script)
            if code == 0:
                return output
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: {script}\nstill fails after {seconds} s:\n{output}")
            time.sleep(0.1)

    def property(self, unit: str, name: str) -> str:
        return self.run(f"systemctl show --property={name} --value {unit}").strip()

    def journal(self, unit: str) -> str:
        return self.run(f"journalctl --no-pager --boot --output=short-monotonic --unit={unit}")


class Machine(Guest):
    """One machine; its root is a directory that can be written before it is booted."""

    def __init__(self, name: str, address: str, network: Network, directory: Path) -> None:
        super().__init__(name, directory)
        self.address, self.network = address, network
        self.binds: dict[str, str] = {}
        self._leader: int | None = None
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._set_address()

    def _set_address(self) -> None:
        self.write("/etc/systemd/network/10-host0.network", f"[Match]\nName=host0\n[Network]\nAddress={self.address}/24\nGateway={self.network.gateway}\nLinkLocalAddressing=no\n")
        for unit in ("network-online.target.wants/systemd-networkd-wait-online.service", "multi-user.target.wants/systemd-networkd.service"):
            self.link(f"/etc/systemd/system/{unit}", f"/lib/systemd/system/{unit.split('/')[1]}")

    @property
    def is_running(self) -> bool:
        return self._leader is not None

    def boot(self) -> None:
        """Boots and waits until systemd has started what it was to start."""
        self.spawn()
        self.wait_booted()

    def spawn(self) -> None:
        """Begins to boot, so that several machines can boot at once."""
        groups = [CGROUPS / hierarchy / self._group for hierarchy in ("systemd", "unified") if (CGROUPS / hierarchy).is_dir()]
        for group in groups or [CGROUPS / self._group]:
            group.mkdir(exist_ok=True)
        join = "".join(f"echo $$ >{group}/cgroup.procs; " for group in groups or [CGROUPS / self._group])
        nspawn = self.network.command(
            "systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", f"--machine={self.name}", "--bind-ro=/usr",
            "--register=no", "--keep-unit", "--network-bridge=fleet", "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe",
            *(f"--bind-ro={source}:{target}" for source, target in self.binds.items()),
        )
        console = (self.directory / "console.log").open("ab")
        # Without SYSTEMD_SECCOMP=0 the machines' own units could not set up their filters.
        self._nspawn = subprocess.Popen(
            ["bash", "-c", f'{join}exec "$@"', "bash", *nspawn],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, env={**os.environ, "SYSTEMD_SECCOMP": "0"},
        )
        console.close()

    def wait_booted(self) -> None:
        self._leader = int(self._until(self._find_leader, "PID 1"))
        self._until(self._booted, "the end of its boot")

    def _booted(self) -> str | None:
        state = self.status("systemctl is-system-running")[1].strip()
        return state if state in ("running", "degraded") else None

    def _find_leader(self) -> str | None:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            raise CommandFailed(f"{self.name} does not boot:\n{(self.directory / 'console.log').read_text()}")
        with contextlib.suppress(FileNotFoundError):
            for children in Path(f"/proc/{self._nspawn.pid}/task").glob("*/children"):
                for child in children.read_text().split():
                    if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                        return child if self._answers(child) else None
        return None

    def _answers(self, leader: str) -> bool:
        ask = ["nsenter", "--target", leader, "--all", "--", "systemctl", "show", "--property=Version"]
        return subprocess.run(ask, capture_output=True, check=False).returncode == 0

    def _until(self, probe: Callable[[], str | None], what: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := probe():
                return found
            time.sleep(0.05)
        raise TimeoutError(f"{self.name}: waited {PATIENCE:.0f} s for {what}\n{self.troubles()}")

    def troubles(self) -> str:
        """What the machine has to say of what does not work."""
        if self._leader is None:
            return (self.directory / "console.log").read_text()
        failed = "systemctl list-jobs; systemctl --failed --no-legend"
        said = "journalctl --no-pager --boot --lines=40 --unit='quizmentor-*-blue.*' --unit='quizmentor-*-green.*' --unit=quizmentor-rollout --unit='postgresql*'"
        return f"--- {self.name}\n" + self.status(f"{failed}; {said}")[1]

    @property
    def _group(self) -> str:
        return f"{self.network.name}-{self.name}"

    def command(self, *command: str) -> list[str]:
        """The command line that runs `command` in the machine."""
        if self._leader is None:
            raise CommandFailed(f"{self.name} is not running")
        clean = ["env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8"]
        return ["nsenter", "--target", str(self._leader), "--all", "--", *clean, *command]

    def status(self, script: str, timeout: float = 120) -> tuple[int, str]:
        done = subprocess.run(
            self.command("bash", "-c", script),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=timeout, check=False,
        )
        return done.returncode, done.stdout

    def lose_power(self) -> None:
        """Ends everything in the machine at once; what it had not written to the disk stays in the
        host's cache, so this is a crash of the machine rather than of its disk."""
        if self._leader is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGKILL)
        self._gone()

    def power_off(self) -> None:
        """Shuts down in order."""
        if self._leader is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGRTMIN + 4)
        self._gone()

    def _gone(self) -> None:
        if self._nspawn is None:
            return
        try:
            self._nspawn.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._nspawn = self._leader = None
        for group in (CGROUPS / hierarchy / self._group for hierarchy in ("systemd", "unified", ".")):
            for directory in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                with contextlib.suppress(OSError):
                    directory.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()

    def close(self) -> None:
        """Ends the machine and removes its root."""
        self.lose_power()
        shutil.rmtree(self.directory, ignore_errors=True)


def host(*command: str) -> str:
    """Output of a command on the host that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(command)}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
