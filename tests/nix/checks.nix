# Checks that need no machine: format, dead code, scripts, rules and rendered configuration.
{
  lib,
  pkgs,
  root,
}:
let
  source = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions [
      (lib.fileset.fileFilter (file: file.hasExt "nix") root)
      (root + "/nixos")
      (root + "/secrets/generate")
      (root + "/tests/nix")
    ];
  };
  check =
    name: tools: command:
    pkgs.runCommand "quizmentor-check-${name}" { nativeBuildInputs = tools; } ''
      cd ${source}
      ${command}
      touch $out
    '';
in
{
  format = check "format" [ pkgs.nixfmt ] "find . -name '*.nix' -exec nixfmt --check {} +";
  dead-code = check "dead-code" [ pkgs.deadnix ] "deadnix --fail --no-lambda-pattern-names .";
  scripts = check "scripts" [ pkgs.shellcheck ] ''
    shellcheck --shell=bash --exclude=SC2034,SC2153,SC2154 nixos/*/*.sh
    shellcheck secrets/generate
  '';
  python = check "python" [ pkgs.mypy ] ''
    mypy --cache-dir=/dev/null --strict nixos/cluster/queue-metric.py tests/nix/eval
  '';
  alerts = check "alerts" [ pkgs.prometheus.cli ] ''
    promtool check rules nixos/monitoring/rules.yml
    promtool test rules nixos/monitoring/rules.test.yml
  '';
}
