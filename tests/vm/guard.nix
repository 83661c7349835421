# A generation that breaks the machine is left again without anybody's help.
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
      services.quizmentor.guard.window = 20;
      specialisation.broken.configuration.systemd.services.haproxy.enable = lib.mkForce false;
    };
  };
  testScript = ''
    ${prelude}

    start_fleet()
    good = worker_1.succeed("readlink --canonicalize /run/current-system").strip()
    broken = f"{good}/specialisation/broken"
    worker_1.execute(f"{broken}/bin/switch-to-configuration test")
    worker_1.wait_until_succeeds(f"test $(readlink --canonicalize /run/current-system) = {good}", timeout=180)
    worker_1.wait_for_unit("haproxy.service")
    serving(worker_1)
    worker_1.succeed("journalctl --grep='back' --unit='quizmentor-guard*' --quiet | grep .")
  '';
}
