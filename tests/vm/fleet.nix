# The fleet comes up and serves a quiz from end to end through each front door.
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
    result = practise(visitor, bearer, "0190a6a2-0000-7000-8000-000000000001")
    assert result["next"] is not None, result
    again = answers(worker_2)
    assert again == 1, again

    with subtest("every front door serves"):
        for machine in (master, worker_1, worker_2):
            machine.succeed("curl --silent --fail http://127.0.0.1/v1/subjects")

    with subtest("an operator makes an author"):
        assert "http" in master.succeed("quizmentor invite --url http://quiz.example.org")

    with subtest("the standby follows"):
        worker_1.wait_until_succeeds("quizmentor-records status | grep '^standby'")
        worker_1.wait_until_succeeds("runuser -u postgres -- psql -tA -d quizmentor -c 'SELECT count(*) FROM answers' | grep -x 1")

    with subtest("metrics, logs and flags"):
        master.wait_until_succeeds("curl --silent --fail http://127.0.0.1:9090/-/ready")
        master.wait_until_succeeds(
            "curl --silent 'http://127.0.0.1:9090/api/v1/query?query=sum(up==0)' | grep --quiet '\"result\":\[\]'", timeout=120
        )
        worker_2.wait_until_succeeds("curl --silent --fail http://${address "worker-2"}:3100/ready")
        master.wait_for_unit("unleash.service")
        for machine in (master, worker_1, worker_2):
            machine.wait_until_succeeds("grep --quiet features /var/lib/quizmentor/flags.json", timeout=180)
        master.wait_for_unit("grafana.service")
  '';
}
