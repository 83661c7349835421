# Secrets: not in the store, not in the environment or command line of a process, unreadable for
# anybody but their owner.
{ machines, prelude, ... }:
{
  nodes = machines;
  testScript = ''
    ${prelude}

    start_fleet()
    for machine in (master, worker_1, worker_2):
        machine.succeed("useradd --no-create-home stranger || true")
        for path in machine.succeed("find /run/secrets -type f").split():
            machine.succeed(f"test $(stat --format=%a {path}) = 400")
            machine.fail(f"runuser -u nobody -- cat {path}")
        secret = "test-quizmentor-token-key-0123456789abcdef"
        machine.fail(f"tr '\\0' '\\n' < /proc/*/cmdline 2>/dev/null | grep --quiet {secret}")
        for pid in machine.succeed("pgrep --full 'quizmentor serve'").split():
            machine.fail(f"grep --quiet {secret} /proc/{pid}/environ")
        machine.fail(f"grep --recursive --quiet {secret} /etc/systemd /etc/quizmentor /etc/haproxy.cfg")
        machine.fail(f"journalctl --grep={secret} --quiet | grep .")
  '';
}
