# A rollout and a rollback under load: not one request fails, no answer is lost.
{
  lib,
  machine,
  machines,
  prelude,
  ...
}:
{
  nodes = machines // {
    worker-1 = lib.mkForce {
      imports = [ (machine "worker-1" [ ]) ];
      # Another release: a setting of the engines is different.
      specialisation.next.configuration.services.quizmentor.settings.limits.streams = 99;
    };
  };
  testScript = ''
    ${prelude}

    start_fleet()
    visitor.wait_for_unit("multi-user.target")
    load = "quizmentor simulate --url http://" + MASTER + " --learners 200 --seconds 90 > /tmp/report 2> /tmp/progress; echo $? > /tmp/status"
    visitor.execute(f"({load}) >&2 &")
    visitor.sleep(10)

    before = worker_1.succeed("cat /var/lib/quizmentor-rollout/slots.map")
    worker_1.succeed("/run/current-system/specialisation/next/bin/switch-to-configuration test")
    after = worker_1.succeed("cat /var/lib/quizmentor-rollout/slots.map")
    assert before != after, "no slot was exchanged"
    visitor.sleep(10)
    worker_1.succeed("/nix/var/nix/profiles/system/bin/switch-to-configuration test")
    assert worker_1.succeed("cat /var/lib/quizmentor-rollout/slots.map") == before

    visitor.wait_for_file("/tmp/status", timeout=180)
    report = visitor.succeed("cat /tmp/report")
    print(report)
    assert visitor.succeed("cat /tmp/status").strip() == "0"
    figures = json.loads(report)
    assert not figures["errors"], figures
    assert figures["answers_found"] == figures["answers_acknowledged"] == answers(worker_2), figures
  '';
}
