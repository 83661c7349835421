"""Machines of User-Mode Linux: a kernel of their own, as a process of this host.

Unlike machines in namespaces (machine.py) they have every controller of cgroups, whatever this
host's kernel and the container around it leave. They have no network.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from machine import PATIENCE, CommandFailed, Guest, host

# What the machine is asked comes as files in its root, and so do its answers.
ASKED = "/asked"
SHELL = f"""#!/bin/bash
mkfifo /run/never
exec 3<>/run/never
for ((number = 0; ; number++)); do
    until [[ -e {ASKED}/$number.sh ]]; do read -t 0.1 -u 3 -r; done
    bash {ASKED}/$number.sh >{ASKED}/$number.output 2>&1 </dev/null
    echo "$?" >{ASKED}/$number.ended
    mv {ASKED}/$number.ended {ASKED}/$number.status
done
"""
# It answers even when there is no memory left.
SHELL_UNIT = "[Unit]\nAfter=sysinit.target\n[Service]\nExecStart=/opt/shell\nOOMScoreAdjust=-1000\n"


class UserModeMachine(Guest):
    """One machine with so many MiB of memory; it boots as far as basic.target."""

    def __init__(self, name: str, directory: Path, memory: int) -> None:
        super().__init__(name, directory)
        self.memory = memory
        self._asked = 0
        self._kernel: subprocess.Popen[bytes] | None = None
        (self.root / ASKED.lstrip("/")).mkdir()
        self.write("/opt/shell", SHELL, 0o755)
        self.write("/etc/systemd/system/shell.service", SHELL_UNIT)
        self.link("/etc/systemd/system/basic.target.wants/shell.service", "../shell.service")

    @property
    def _console(self) -> Path:
        return self.directory / "console.log"

    def boot(self) -> None:
        """Boots and waits until a shell answers."""
        registers = self.directory / "registers.so"
        host("cc", "-O2", "-shared", "-fPIC", "-o", str(registers), str(Path(__file__).parent / "registers.c"))
        kernel = [
            "linux.uml", "rootfstype=hostfs", f"rootflags={self.root}", "rw", f"mem={self.memory}M", f"uml_dir={self.directory}",
            "con=null", "con0=fd:0,fd:1", "systemd.unified_cgroup_hierarchy=1", "systemd.unit=basic.target", "systemd.show_status=0",
        ]
        # The host's /usr is there in a mount namespace of the machine's, so nothing is left mounted.
        script = f'mount --bind /usr {self.root}/usr && mount -o remount,bind,ro {self.root}/usr && LD_PRELOAD={registers} exec "$@"'
        alone = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        with self._console.open("ab") as console:
            self._kernel = subprocess.Popen([*alone, "bash", "-c", script, "bash", *kernel], stdin=subprocess.PIPE, stdout=console, stderr=console)
        self.run("true", PATIENCE)

    def status(self, script: str, timeout: float = 120) -> tuple[int, str]:
        if self._kernel is None:
            raise CommandFailed(f"{self.name} is not running")
        asked = self.root / ASKED.lstrip("/") / str(self._asked)
        self._asked += 1
        asked.with_suffix(".new").write_text(script)
        asked.with_suffix(".new").rename(asked.with_suffix(".sh"))
        deadline = time.monotonic() + timeout
        while not asked.with_suffix(".status").exists():
            if self._kernel.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(f"{self.name} gives no answer: {script}\n{self._console.read_text(errors='replace')}")
            time.sleep(0.05)
        return int(asked.with_suffix(".status").read_text()), asked.with_suffix(".output").read_text()

    def wait(self, condition: str, seconds: int = 60) -> None:
        """Waits within the machine, where to begin a command takes longest, until one succeeds."""
        self.run(f"until {condition}; do ((SECONDS < {seconds})) || exit; sleep 0.2; done", 2 * seconds)

    def close(self) -> None:
        """Ends the machine, which takes its mounts with it, and removes its root."""
        if self._kernel is not None:
            self._kernel.kill()
            self._kernel.communicate()
            self._kernel = None
        shutil.rmtree(self.directory, ignore_errors=True)
