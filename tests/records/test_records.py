"""The records' scripts: archive, base backups, restore to a point in time, drill, promotion."""

from __future__ import annotations

import os
import subprocess
import time
import unittest

from servers import SCRIPTS, Pair, free_port

TABLES = "CREATE TABLE learners (id int PRIMARY KEY); CREATE TABLE answers (id int PRIMARY KEY, learner int)"


class RecordsTest(unittest.TestCase):
    """A primary with a learner, and no answer yet."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.addCleanup(self.pair.close)
        self.node = self.pair.first
        self.node.sql(TABLES, database="quizmentor")
        self.node.sql("INSERT INTO learners VALUES (1)", database="quizmentor")

    def answer(self, number: int, learner: int = 1) -> None:
        self.node.sql(f"INSERT INTO answers VALUES ({number}, {learner})", database="quizmentor")

    def archived(self) -> None:
        """Waits until all that was written until now is in the archive."""
        name = self.node.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        self.node.sql("SELECT pg_switch_wal()")
        for _ in range(300):
            if (self.node.backups / f"wal/{name}.zst").exists():
                return
            time.sleep(0.1)
        self.fail(f"{name} was not archived")


class Records(RecordsTest):
    def test_archive_keeps_what_is_there(self) -> None:
        directory, archive = self.node.directory, f"{self.node.bin}/archive"
        self.node.run(f"mkdir {directory}/a && echo one > {directory}/s && {archive} {directory}/a {directory}/s S")
        self.assertEqual(self.node.run(f"zstd -dcq {directory}/a/S.zst"), "one")
        self.node.run(f"{archive} {directory}/a {directory}/s S")
        code, output = self.node.status(f"echo two > {directory}/s && {archive} {directory}/a {directory}/s S")
        self.assertNotEqual(code, 0)
        self.assertIn("another content", output)
        self.assertEqual(self.node.run(f"zstd -dcq {directory}/a/S.zst"), "one")

    def test_archive_fails_without_its_directory(self) -> None:
        directory, archive = self.node.directory, f"{self.node.bin}/archive"
        code, _ = self.node.status(f"echo one > {directory}/s && {archive} {directory}/absent {directory}/s S")
        self.assertNotEqual(code, 0)

    def restored(self, arguments: str) -> int:
        """How many answers a restored server has."""
        data = self.node.directory / f"restored-{free_port()}"
        self.node.run(f"quizmentor-records restore {arguments.replace('DIR', str(data), 1)}")
        port = free_port()
        self.node.start(data, f"-c listen_addresses='' -c unix_socket_directories={self.node.directory} -p {port}")
        self.addCleanup(self.node.stop, data, "immediate")
        for _ in range(300):
            if self.node.sql("SELECT pg_is_in_recovery()", port) == "f":
                break
            time.sleep(0.1)
        return int(self.node.sql("SELECT count(*) FROM answers", port, "quizmentor"))

    def test_restore_to_the_end_and_to_a_moment(self) -> None:
        self.answer(1)
        self.node.run("quizmentor-records backup")
        self.answer(2)
        time.sleep(1.1)
        moment = self.node.sql("SELECT now()")
        time.sleep(1.1)
        self.answer(3)
        self.archived()
        self.assertEqual(self.restored("DIR"), 3)
        self.assertEqual(self.restored(f"DIR '{moment}'"), 2)
        code, output = self.node.status("quizmentor-records restore /tmp/never '2020-01-01 00:00+00'")
        self.assertNotEqual(code, 0)
        self.assertIn("no base backup from before 2020-01-01", output)

    def test_seven_base_backups_and_their_wal_are_kept(self) -> None:
        self.node.run("quizmentor-records backup")
        self.archived()
        first = set((self.node.backups / "wal").iterdir())
        (only,) = (self.node.backups / "base").iterdir()
        for day in range(1, 8):
            self.node.run(f"cp -r {only} {only.parent}/2030010{day}T000000Z")
        self.node.run("quizmentor-records backup")
        self.assertEqual(len(list(only.parent.iterdir())), 7)
        self.assertFalse(only.exists(), "the oldest goes")
        self.assertTrue(first & set((self.node.backups / "wal").iterdir()), "the copies need the first segments")

    def test_promotion(self) -> None:
        first, second = self.pair.first, self.pair.second
        second.follow(first)
        second.start()
        self.answer(1)
        self.assertIn("standby, timeline 1", second.run("quizmentor-records status"))
        self.assertIn("primary, timeline 1", first.run("quizmentor-records status"))
        self.assertEqual((self.role(first), self.role(second)), (200, 503))

        code, output = second.status("quizmentor-records promote")
        self.assertNotEqual(code, 0)
        self.assertIn("the primary still answers", output)

        first.stop(mode="immediate")
        self.assertIn("promoted: primary, timeline 2", second.run("quizmentor-records promote"))
        self.assertEqual((self.role(first), self.role(second)), (0, 200))
        self.assertEqual(second.sql("SELECT count(*) FROM answers", database="quizmentor"), "1")
        self.assertEqual(second.sql("SELECT slot_name FROM pg_replication_slots"), "peer", "others can follow it")

        first.start()
        self.assertEqual((self.role(first), self.role(second)), (503, 200), "the old primary gets nothing")
        first.stop()

        code, output = first.join()
        self.assertEqual(code, 0, output)
        self.assertIn("another node is the primary on timeline 2", output)
        first.start()
        self.assertIn("standby", first.run("quizmentor-records status"))
        self.assertEqual((self.role(first), self.role(second)), (503, 200))

    def test_what_a_node_begins_as(self) -> None:
        first, second = self.pair.first, self.pair.second
        self.assertEqual(first.join(), (0, ""), "a primary without a better one stays what it is")
        first.stop()
        code, output = second.join()
        self.assertNotEqual(code, 0)
        self.assertIn("there is no primary yet to be copied", output)

    def role(self, node: object) -> int:
        """Status of the answer whether the node holds the primary; 0 without an answer."""
        port = self.pair.first.roles.server.server_address[1]
        address = getattr(node, "address")
        done = subprocess.run(
            ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", f"http://{address}:{port}/primary"],
            text=True, stdout=subprocess.PIPE, check=False,
        )  # fmt: skip
        return int(done.stdout)


class Drill(RecordsTest):
    """The weekly drill, on a copy in a local repository of restic."""

    def offsite(self) -> dict[str, str]:
        directory = self.node.directory
        credentials, metrics, state = directory / "credentials", directory / "metrics", directory / "drill"
        for folder in (credentials, metrics, state):
            folder.mkdir()
        (credentials / "environment").write_text("")
        (credentials / "password").write_text("a password of the test")
        (credentials / "repository").write_text(str(directory / "offsite"))
        text = "#!/bin/bash\nset -euo pipefail\n"
        text += (SCRIPTS / "backups/metric.sh").read_text() + (SCRIPTS / "backups/restore-drill.sh").read_text()
        (self.node.bin / "drill").write_text(text)
        (self.node.bin / "drill").chmod(0o755)
        self.node.run(f"chown -R postgres:postgres {directory}", user="root")
        self.metric = metrics / "restore-drill.prom"
        return {
            "CREDENTIALS_DIRECTORY": str(credentials),
            "STATE_DIRECTORY": str(state),
            "METRICS": str(metrics),
            "DIRECTORY": str(self.node.backups),
            "RESTIC_PASSWORD_FILE": str(credentials / "password"),
            "RESTIC_REPOSITORY_FILE": str(credentials / "repository"),
        }

    def back_up(self, environment: dict[str, str]) -> None:
        self.node.run("quizmentor-records backup")
        self.archived()
        host = os.uname().nodename
        self.node.run(f"restic init && restic backup --host={host} {self.node.backups}", more=environment)

    def test_a_good_copy(self) -> None:
        self.answer(1)
        environment = self.offsite()
        self.back_up(environment)
        output = self.node.run("drill", more=environment)
        self.assertIn("1 learners, 1 answers, 0 answers without a learner", output)
        self.assertIn('step="restore-drill"', self.metric.read_text())
        self.assertEqual(list((self.node.directory / "drill").glob("scratch*")), [])

    def test_a_copy_that_is_not_whole(self) -> None:
        self.answer(1, learner=2)
        environment = self.offsite()
        self.back_up(environment)
        code, output = self.node.status("drill", more=environment)
        self.assertNotEqual(code, 0, output)
        self.assertIn("1 answers without a learner", output)
        self.assertFalse(self.metric.exists())

    def test_a_damaged_copy(self) -> None:
        self.answer(1)
        environment = self.offsite()
        self.back_up(environment)
        for pack in (self.node.directory / "offsite/data").glob("*/*"):
            pack.chmod(0o600)
            pack.write_bytes(b"x" * 64 + pack.read_bytes()[64:])
        code, _ = self.node.status("drill", more=environment)
        self.assertNotEqual(code, 0)
        self.assertFalse(self.metric.exists())


if __name__ == "__main__":
    unittest.main()
