"""The kernel holds a slot to its unit's MemoryMax and TasksMax.

In the fleet's machines there is no controller of memory, so this one has a kernel of its own. Its
units are the golden ones; their program is a script that does what the settings' first word says.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import unittest
from pathlib import Path

from appliance import SECRET, secret
from fleet import ENGINES, GOLDEN
from uml import UserModeMachine

UNITS = GOLDEN / ENGINES / "units"
SLOT, OTHER = "site-blue", "site-green"
UNIT = f"quizmentor-{SLOT}.service"
SLICE = "/sys/fs/cgroup/quizmentor.slice"
SETTINGS = f"/nix/var/nix/gcroots/quizmentor/{SLOT}/quizmentor.toml"
GROUP = f"{SLICE}/{UNIT}"
MIB = 1 << 20
# It tells systemd that it is ready and alive, as the unit demands, and what it saw.
PROGRAM = """#!/usr/bin/python3
import os, signal, socket, sys, time

def tell(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])

def take_memory():
    taken.append(b"x" * (4 << 20))

def take_task():
    try:
        if os.fork() == 0:
            signal.pause()
    except OSError as error:
        tell(f"STATUS={error.strerror} after {len(taken)}")
        time.sleep(0.01)
    else:
        taken.append(None)

taken = []
with open(sys.argv[sys.argv.index("--config") + 1]) as settings:
    what = settings.read().strip()
tell(f"READY=1\\nSTATUS={what}")
step = {"memory": take_memory, "tasks": take_task, "rest": lambda: time.sleep(1)}[what]
while True:
    tell("WATCHDOG=1")
    step()
"""


def value(name: str) -> str:
    """What the golden unit says of a setting that it has once."""
    (found,) = re.findall(rf"^{name}=(.+)$", (UNITS / UNIT).read_text(), re.MULTILINE)
    return str(found)


def mebibytes(size: str) -> int:
    return int(size[:-1]) * {"M": 1, "G": 1024}[size[-1]]


class Limits(unittest.TestCase):
    memory: int
    tasks: int
    machine: UserModeMachine

    @classmethod
    def setUpClass(cls) -> None:
        cls.memory, cls.tasks = mebibytes(value("MemoryMax")), int(value("TasksMax"))
        directory = tempfile.TemporaryDirectory(prefix="machines-", ignore_cleanup_errors=True)
        cls.addClassCleanup(directory.cleanup)
        # Half of it is for everybody else, so that what ends a program is its own limit.
        cls.machine = UserModeMachine("limits", Path(directory.name), 2 * cls.memory)
        cls.addClassCleanup(cls.machine.close)
        cls.install()
        cls.machine.boot()
        cls.machine.run(f"systemctl start {UNIT} quizmentor-{OTHER}.service")

    @classmethod
    def install(cls) -> None:
        cls.machine.add_user("quizmentor", 900)
        secrets: set[str] = set()
        for name in ("quizmentor.slice", UNIT, f"quizmentor-{OTHER}.service"):
            unit = (UNITS / name).read_text()
            cls.machine.write(f"/etc/systemd/system/{name}", unit)
            secrets.update(SECRET.findall(unit))
        folders = {f"d /run/secrets/{name.rpartition('/')[0]} 0751" for name in secrets}
        files = {f"f /run/secrets/{name} 0400 root root - {secret(name)}" for name in secrets}
        cls.machine.write("/etc/tmpfiles.d/secrets.conf", "\n".join([*sorted(folders), *sorted(files)]) + "\n")
        for slot in (SLOT, OTHER):
            cls.machine.write(f"/nix/var/nix/gcroots/quizmentor/{slot}/bin/quizmentor", PROGRAM, 0o755)
            cls.machine.write(f"/nix/var/nix/gcroots/quizmentor/{slot}/quizmentor.toml", "rest\n")

    def setUp(self) -> None:
        self.others = self.bystanders()

    def tearDown(self) -> None:
        self.do("rest")

    def do(self, what: str) -> None:
        """Starts the program anew, to do this."""
        self.machine.run(f"echo {what} >{SETTINGS}; systemctl restart {UNIT}")

    def bystanders(self) -> str:
        """The processes that the limit of this unit is no matter of."""
        return self.machine.run(f"systemctl show --property=MainPID,NRestarts,ActiveState quizmentor-{OTHER}.service systemd-journald.service shell.service")

    def read(self, file: str) -> str:
        return self.machine.run(f"cat {file}").strip()

    def test_who_takes_ever_more_memory_is_killed_and_restarted(self) -> None:
        self.assertEqual(self.read(f"{GROUP}/memory.max"), str(self.memory * MIB))
        self.do("memory")
        # The group of the killed goes with them; the slice's counts what was in it.
        self.machine.wait(f'[[ $(<{SLICE}/memory.events) == *"oom_group_kill "[1-9]* ]]')
        self.machine.run(f"echo rest >{SETTINGS}")
        self.machine.wait(f"[[ $(systemctl show --property=StatusText --value {UNIT}) == rest ]]")
        self.assertGreater(int(self.machine.property(UNIT, "NRestarts")), 0)
        self.assertIn("Failed with result 'oom-kill'", self.machine.journal(UNIT))
        self.assertAlmostEqual(int(self.read(f"{SLICE}/memory.peak")) / MIB, self.memory, delta=self.memory / 20)
        self.assertEqual(self.bystanders(), self.others)

    def test_who_starts_ever_more_tasks_is_refused(self) -> None:
        self.assertEqual(self.read(f"{GROUP}/pids.max"), str(self.tasks))
        self.do("tasks")
        # It goes on trying.
        self.machine.wait(f'[[ $(<{GROUP}/pids.events) == "max "[1-9][0-9]* ]]')
        current = self.machine.run(f"for try in {{1..100}}; do echo $(<{GROUP}/pids.current); done").split()
        self.assertEqual(set(current), {str(self.tasks)})
        self.assertEqual(self.machine.property(UNIT, "StatusText"), f"{os.strerror(errno.EAGAIN)} after {self.tasks - 1}")
        self.assertEqual(self.machine.property(UNIT, "NRestarts"), "0")
        self.assertEqual(self.bystanders(), self.others)
