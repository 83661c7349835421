# Blue-green rollout: brings the machine to the releases that its configuration names, on each
# switch and each boot. See rollout/rollout.sh for the order of steps.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.quizmentor;
  hardening = import ../lib/hardening.nix;

  rollout = pkgs.writeShellApplication {
    name = "quizmentor-rollout";
    runtimeInputs = [
      config.systemd.package
      pkgs.coreutils
      pkgs.curl
      pkgs.gawk
      pkgs.gnugrep
      pkgs.gnused
      pkgs.jq
      pkgs.procps
      pkgs.socat
    ];
    text = builtins.readFile ../rollout/rollout.sh;
  };

  instances = pkgs.writeText "quizmentor-instances.json" (
    builtins.toJSON (
      lib.mapAttrs (_: instance: {
        release = "${instance.release}";
        inherit (instance) roles;
        credentials = lib.attrValues instance.credentials;
      }) cfg.instances
    )
  );
in
{
  config = lib.mkIf cfg.enable {
    environment.etc."quizmentor/instances.json".source = instances;
    environment.systemPackages = [ rollout ];

    # The front door reads the map before the first rollout has written it.
    systemd.tmpfiles.rules = [
      "d /var/lib/quizmentor-rollout 0755 root root -"
      "f /var/lib/quizmentor-rollout/slots.map 0644 root root -"
    ];

    systemd.services.quizmentor-rollout = {
      description = "Blue-green rollout of QuizMentor";
      wantedBy = [ "multi-user.target" ];
      wants = [
        "haproxy.service"
        "network-online.target"
      ];
      after = [
        "network-online.target"
        "haproxy.service"
        "postgresql.target"
        "redis-quizmentor.service"
      ];
      restartTriggers = [ instances ];
      stopIfChanged = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = lib.getExe rollout;
        StateDirectory = "quizmentor-rollout";
        StateDirectoryMode = "0755";
        TimeoutStartSec = "4min";
      }
      // hardening.base
      # It starts and stops units and reads secrets' files to see whether they have changed, so it
      # is root; it speaks to the front door's private sockets, counts its processes, and writes
      # two directories.
      // hardening.relax.root [ "CAP_DAC_OVERRIDE" ]
      // hardening.relax.seesProcesses
      // {
        PrivateNetwork = true;
        ReadWritePaths = [ "/nix/var/nix/gcroots" ];
        UMask = "0022";
      };
    };
  };
}
