# The backup is made, taken off-site, and restored by the drill; a point in time can be restored.
{ machines, prelude, ... }:
{
  nodes = machines;
  testScript = ''
    ${prelude}

    start_fleet()
    visitor.wait_for_unit("multi-user.target")
    practise(visitor, token(visitor), "0190a6a2-0000-7000-8000-000000000001")

    with subtest("base backup, snapshots, off-site copy, drill"):
        for unit in ("quizmentor-base-backup", "quizmentor-vectors-snapshot", "restic-backups-offsite", "quizmentor-restore-drill"):
            worker_2.succeed(f"systemctl start {unit}.service")
        for step in ("base-backup", "vectors", "offsite", "restore-drill"):
            worker_2.succeed(f"grep 'step=\"{step}\"' /var/lib/quizmentor-metrics/{step}.prom")
        worker_2.succeed("journalctl -u quizmentor-restore-drill | grep '1 answers, 0 answers without'")

    with subtest("a drill on a damaged copy fails and leaves no metric"):
        worker_2.succeed("rm /var/lib/quizmentor-metrics/restore-drill.prom")
        worker_2.succeed("find /var/lib/offsite/data -type f -exec sh -c 'printf x | dd of=$1 conv=notrunc status=none' sh {} ';'")
        worker_2.fail("systemctl start quizmentor-restore-drill.service")
        worker_2.fail("test -e /var/lib/quizmentor-metrics/restore-drill.prom")

    with subtest("point in time"):
        moment = worker_2.succeed("date --utc +'%F %T%:z'").strip()
        worker_2.sleep(2)
        practise(visitor, token(visitor), "0190a6a2-0000-7000-8000-000000000002")
        worker_2.succeed("runuser -u postgres -- psql -c 'SELECT pg_switch_wal()'")
        worker_2.sleep(5)
        worker_2.succeed(f"runuser -u postgres -- quizmentor-records restore /var/lib/postgresql/then '{moment}'")
        worker_2.succeed(
            "runuser -u postgres -- pg_ctl -D /var/lib/postgresql/then -w -o '-c listen_addresses= -c port=5499' start"
        )
        count = worker_2.succeed("runuser -u postgres -- psql -p 5499 -tA -d quizmentor -c 'SELECT count(*) FROM answers'")
        assert int(count) == 1 and answers(worker_2) == 2, count
  '';
}
