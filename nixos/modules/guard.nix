# The guard: after a switch, a machine that does not come healthy, or whose operator cannot reach
# it to confirm, goes back to the system before. See rollout/guard.sh.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.quizmentor.guard;
  hardening = import ../lib/hardening.nix;

  guard = pkgs.writeShellApplication {
    name = "quizmentor-guard";
    runtimeInputs = [
      config.nix.package
      config.systemd.package
      pkgs.bash
      pkgs.coreutils
      pkgs.curl
      pkgs.findutils
      pkgs.gnused
      pkgs.jq
    ];
    text = builtins.readFile ../rollout/guard.sh;
  };

  settings = pkgs.writeText "quizmentor-guard.json" (
    builtins.toJSON {
      inherit (cfg)
        window
        patience
        confirmation
        checks
        ;
    }
  );
in
{
  options.services.quizmentor.guard = {
    enable = lib.mkEnableOption "the guard over switches";
    window = mkOption {
      type = types.ints.positive;
      default = 120;
      description = "Seconds within which the new system must come healthy.";
    };
    patience = mkOption {
      type = types.ints.positive;
      default = 600;
      description = "Seconds after that within which the operator must confirm.";
    };
    confirmation = mkOption {
      type = types.enum [
        "operator"
        "automatic"
      ];
      default = "operator";
      description = ''
        Whether the operator must confirm, which proves that the machine can still be reached, or
        health alone is enough.
      '';
    };
    checks = mkOption {
      type = types.listOf types.str;
      description = "Commands that succeed on a healthy machine, each within 10 s.";
    };
  };

  config = lib.mkIf cfg.enable {
    services.quizmentor.guard.checks =
      map (unit: "systemctl --quiet is-active ${unit}") (
        lib.optionals config.services.quizmentor.enable [
          "quizmentor-rollout.service"
          "haproxy.service"
        ]
        ++ lib.optional config.services.openssh.enable "sshd.service"
      )
      ++ lib.optional config.services.quizmentor.enable "curl --silent --fail --max-time 5 --unix-socket /run/haproxy/smoke.sock http://quizmentor/v1/subjects";

    environment.etc."quizmentor/guard.json".source = settings;
    environment.systemPackages = [ guard ];

    # By its name the last of the checks: those before it must let the switch begin.
    system.preSwitchChecks.trial = ''
      ${lib.getExe guard} arm "$1" "$2"
    '';

    # A trial that a restart of the machine interrupted goes on. This unit only has systemd start
    # the watch, as a transient unit of its own; that one has no sandbox, for it may have to switch
    # the whole machine to another system.
    systemd.services.quizmentor-guard = {
      description = "Resume the watch over an unconfirmed system";
      wantedBy = [ "multi-user.target" ];
      unitConfig.ConditionPathExists = "/var/lib/quizmentor-guard/previous";
      restartIfChanged = false;
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${lib.getExe guard} resume";
      }
      // hardening.base
      // hardening.relax.root [ ]
      // {
        PrivateNetwork = true;
      };
    };
  };
}
