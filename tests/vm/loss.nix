# Each node is lost in turn: what still works is what docs/operations.md promises.
{
  address,
  machines,
  prelude,
  ...
}:
{
  nodes = machines;
  testScript = ''
    ${prelude}

    start_fleet()
    visitor.wait_for_unit("multi-user.target")
    bearer = token(visitor)
    practise(visitor, bearer, "0190a6a2-0000-7000-8000-000000000001")

    with subtest("the master is lost: learning goes on through another front door"):
        master.crash()
        worker_1.wait_until_succeeds("curl --silent --fail http://127.0.0.1/v1/subjects", timeout=30)
        master.start()
        serving(master)

    with subtest("the engines' node is lost: the reserve serves"):
        worker_1.crash()
        visitor.wait_until_succeeds(f"curl --silent --fail http://{MASTER}/v1/subjects", timeout=30)
        practise(visitor, token(visitor), "0190a6a2-0000-7000-8000-000000000002")
        worker_1.start()
        serving(worker_1)
        worker_1.wait_until_succeeds("quizmentor-records status | grep '^standby'")
        worker_2.wait_until_succeeds("quizmentor-records status | grep '^standby worker_1 streaming'", timeout=60)

    with subtest("the records' node is lost: the standby is promoted, nothing acknowledged is missing"):
        expected = answers(worker_2)
        worker_1.wait_until_succeeds(
            f"runuser -u postgres -- psql -tA -d quizmentor -c 'SELECT count(*) FROM answers' | grep -x {expected}"
        )
        worker_2.crash()
        worker_1.succeed("quizmentor-records promote")
        practise(visitor, token(visitor), "0190a6a2-0000-7000-8000-000000000003")
        assert answers(worker_1) == expected + 1

    with subtest("the old primary comes back as a standby and gets no connections"):
        worker_2.start()
        worker_2.wait_for_unit("postgresql.service")
        worker_2.wait_until_succeeds("quizmentor-records status | grep '^standby'")
        worker_2.succeed("curl --silent http://${address "worker-2"}:5433/primary | grep standby")
        practise(visitor, token(visitor), "0190a6a2-0000-7000-8000-000000000004")
        assert answers(worker_1) == expected + 2
  '';
}
