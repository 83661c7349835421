# The major version of PostgreSQL is changed as docs/operations.md says: dump on the old, load on the
# new, nothing lost.
{
  lib,
  machine,
  machines,
  pkgs,
  prelude,
  ...
}:
{
  nodes = machines // {
    worker-2 = lib.mkForce {
      imports = [ (machine "worker-2" [ ]) ];
      specialisation.newer.configuration.services.postgresql.package = lib.mkForce pkgs.postgresql_18;
    };
  };
  testScript = ''
    ${prelude}

    start_fleet()
    visitor.wait_for_unit("multi-user.target")
    practise(visitor, token(visitor), "0190a6a2-0000-7000-8000-000000000001")
    expected = answers(worker_2)

    worker_2.succeed("runuser -u postgres -- pg_dumpall --no-role-passwords > /tmp/all.sql")
    worker_2.succeed("/run/current-system/specialisation/newer/bin/switch-to-configuration test || true")
    worker_2.wait_for_unit("postgresql.target")
    worker_2.succeed("runuser -u postgres -- psql -tAc 'SHOW server_version' | grep '^18'")
    worker_2.succeed("runuser -u postgres -- psql --set ON_ERROR_STOP=0 -d postgres < /tmp/all.sql")
    assert answers(worker_2) == expected
    practise(visitor, token(visitor), "0190a6a2-0000-7000-8000-000000000002")
    assert answers(worker_2) == expected + 1
  '';
}
