# Backups and the proof that they can be restored.
#
# Each node writes what it keeps below one directory (the volume, where the node has one): WAL as it
# is finished, base backups, snapshots. restic takes that directory off-site to R2 each night. On
# the node of the backups a drill restores last night's off-site copy every week into a scratch
# server and looks at the rows. Every step leaves its time in a metric; rules.yml alerts when one is
# late or absent.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  fleet = config.quizmentor;
  inherit (fleet) self;
  cfg = fleet.backups;
  hardening = import ../lib/hardening.nix;
  inherit (fleet.fleet.network) range;

  volume = lib.findFirst (volume: volume.node == fleet.node) null (
    lib.attrValues fleet.fleet.volumes
  );
  metrics = "/var/lib/quizmentor-metrics";
  has = lib.any fleet.hasRole;
  keeps = has [
    "control-plane"
    "monitoring"
    "records"
    "records-standby"
    "vectors"
  ];

  script =
    name: runtimeInputs:
    pkgs.writeShellApplication {
      inherit name;
      runtimeInputs = [ pkgs.coreutils ] ++ runtimeInputs;
      runtimeEnv = {
        DIRECTORY = cfg.directory;
        METRICS = metrics;
        VECTORS = "http://${self.privateAddress}:6333";
      };
      text = builtins.readFile ../backups/metric.sh + builtins.readFile (../backups + "/${name}.sh");
    };

  # A unit that makes one kind of backup, with its timer.
  job =
    {
      description,
      exec,
      user ? "root",
      at,
      serviceConfig ? { },
    }:
    {
      service = {
        inherit description;
        wants = [ "quizmentor-backup-directories.service" ];
        after = [ "quizmentor-backup-directories.service" ];
        unitConfig.RequiresMountsFor = cfg.directory;
        serviceConfig =
          hardening.base
          // {
            Type = "oneshot";
            User = user;
            SupplementaryGroups = [ "quizmentor-metrics" ];
            ExecStart = exec;
            ReadWritePaths = [
              cfg.directory
              metrics
            ];
            PrivateUsers = false;
            Nice = 10;
            IOSchedulingClass = "idle";
            Slice = "backups.slice";
            TimeoutStartSec = "6h";
          }
          // serviceConfig;
      };
      timer = {
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnCalendar = at;
          RandomizedDelaySec = "5min";
          Persistent = true;
        };
      };
    };

  jobs =
    lib.optionalAttrs config.services.postgresql.enable {
      quizmentor-base-backup = job {
        description = "Base backup of the records";
        user = "postgres";
        exec = lib.getExe (script "base-backup" [ fleet.records.command ]);
        at = "01:00";
      };
    }
    // lib.optionalAttrs (fleet.hasRole "vectors") {
      quizmentor-vectors-snapshot = job {
        description = "Snapshots of the vectors";
        exec = lib.getExe (
          script "vectors-snapshot" [
            pkgs.curl
            pkgs.jq
          ]
        );
        at = "01:30";
        serviceConfig = hardening.relax.fleetNetwork [ range ] // {
          LoadCredential = [ "vectors-api-key:${fleet.secrets.vectors-api-key.path}" ];
        };
      };
    }
    // lib.optionalAttrs (fleet.hasRole "monitoring") {
      quizmentor-grafana-snapshot = job {
        description = "Copy of Grafana's database";
        exec = lib.getExe (script "grafana-snapshot" [ pkgs.sqlite ]);
        at = "01:40";
        serviceConfig.CapabilityBoundingSet = "CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE";
      };
    }
    // lib.optionalAttrs (fleet.hasRole "control-plane") {
      quizmentor-cluster-snapshot = job {
        description = "Copy of the cluster's state";
        exec = lib.getExe (
          script "cluster-snapshot" [
            pkgs.sqlite
            pkgs.gnutar
            pkgs.zstd
          ]
        );
        at = "01:45";
        serviceConfig.CapabilityBoundingSet = "CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE";
      };
    }
    // lib.optionalAttrs (fleet.hasRole "backups") {
      quizmentor-restore-drill = job {
        description = "Restores last night's off-site backup and looks at it";
        user = "postgres";
        exec = lib.getExe (
          script "restore-drill" [
            config.services.postgresql.finalPackage
            fleet.records.command
            pkgs.findutils
            pkgs.gnused
            pkgs.gnutar
            pkgs.restic
            pkgs.zstd
          ]
        );
        at = "Sun 04:00";
        serviceConfig = hardening.relax.internet // {
          LoadCredential = [
            "password:${fleet.secrets."backup/password".path}"
            "repository:${fleet.secrets."backup/repository".path}"
            "environment:${fleet.secrets."backup/environment".path}"
          ];
          StateDirectory = "quizmentor-drill";
        };
      };
    };
in
{
  options.quizmentor.backups.directory = mkOption {
    type = types.str;
    default = if volume != null then volume.mountPoint else "/var/lib/quizmentor-backups";
    defaultText = "the mount point of this node's volume";
    description = "Where this node's backups lie until restic takes them off-site.";
  };

  config = lib.mkIf keeps {
    quizmentor.secrets = lib.genAttrs [
      "backup/environment"
      "backup/password"
      "backup/repository"
    ] (_: { });
    quizmentor.state.quizmentor-restore-drill.expendable = "scratch space of the drill";
    quizmentor.state."restic-backups-offsite".expendable = "a cache of restic";
    quizmentor.unhardened.restic-backups-offsite = "nixpkgs' unit: root, to read what all services keep";

    systemd.services = lib.mapAttrs (_: job: job.service) jobs // {
      quizmentor-backup-directories = {
        description = "Directories of the backups";
        wantedBy = [ "multi-user.target" ];
        unitConfig.RequiresMountsFor = cfg.directory;
        serviceConfig = hardening.base // {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = map (line: "${pkgs.coreutils}/bin/install --directory ${line}") (
            [
              "--mode=0755 ${cfg.directory}"
              "--mode=0700 ${cfg.directory}/snapshots"
            ]
            ++ lib.optionals config.services.postgresql.enable [
              "--mode=0700 --owner=postgres --group=postgres ${cfg.directory}/wal"
              "--mode=0700 --owner=postgres --group=postgres ${cfg.directory}/base"
            ]
          );
          PrivateUsers = false;
          SystemCallFilter = [ "@system-service" ];
          ReadWritePaths = [
            "/var/lib"
            "-${cfg.directory}"
          ];
          CapabilityBoundingSet = "CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE";
        };
      };
      restic-backups-offsite = {
        wants = [ "quizmentor-backup-directories.service" ];
        after = [ "quizmentor-backup-directories.service" ];
        unitConfig.RequiresMountsFor = cfg.directory;
        serviceConfig = {
          SupplementaryGroups = [ "quizmentor-metrics" ];
          ExecStartPost = "${lib.getExe (script "record-offsite" [ ])}";
          Slice = "backups.slice";
          Nice = 10;
        };
      };
    };
    systemd.timers = lib.mapAttrs (_: job: job.timer) jobs;
    systemd.slices.backups = {
      description = "Backups and their drills";
      sliceConfig.MemoryMax = "512M";
    };
    users.users.postgres = lib.mkIf config.services.postgresql.enable {
      extraGroups = [ "quizmentor" ];
    };

    services.restic.backups.offsite = {
      initialize = true;
      repositoryFile = fleet.secrets."backup/repository".path;
      passwordFile = fleet.secrets."backup/password".path;
      environmentFile = fleet.secrets."backup/environment".path;
      paths = [ cfg.directory ];
      extraBackupArgs = [
        "--host=${fleet.node}"
        "--one-file-system"
      ];
      pruneOpts = [
        "--host=${fleet.node}"
        "--keep-daily=7"
        "--keep-weekly=5"
        "--keep-monthly=6"
      ];
      runCheck = true;
      checkOpts = [ "--read-data-subset=2%" ];
      timerConfig = {
        OnCalendar = "02:30";
        RandomizedDelaySec = "30min";
        Persistent = true;
      };
    };
  };
}
