# The records: PostgreSQL, a primary and a streaming standby. Every node reaches whichever of them
# is the primary at 127.0.0.1:6432, through its HAProxy, which asks both who it is. Promoting the
# standby is one command on its node: quizmentor-records promote.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.quizmentor.records;
  fleet = config.quizmentor;
  inherit (fleet) self;
  hardening = import ../lib/hardening.nix;

  primary = fleet.hasRole "records";
  standby = fleet.hasRole "records-standby";
  nodes = fleet.nodesWith "records" // fleet.nodesWith "records-standby";
  peers = lib.filterAttrs (name: _: name != fleet.node) nodes;
  inherit (fleet.fleet.network) range;

  port = 5432;
  rolePort = 5433;
  inherit (config.services.postgresql) dataDir;
  slotOf = lib.replaceStrings [ "-" ] [ "_" ];
  passwords = {
    quizmentor = "records-password";
    unleash = "unleash-password";
    replication = "replication-password";
  };
  secretPath = name: fleet.secrets.${name}.path;

  archive = pkgs.writeShellApplication {
    name = "quizmentor-archive-wal";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.zstd
    ];
    text = builtins.readFile ../records/archive.sh;
  };

  # The command of operators and of the units; everything that depends on the host is in its
  # environment.
  records = pkgs.writeShellApplication {
    name = "quizmentor-records";
    runtimeInputs = [
      config.services.postgresql.finalPackage
      config.systemd.package
      pkgs.coreutils
      pkgs.curl
      pkgs.findutils
      pkgs.gawk
      pkgs.gnugrep
      pkgs.gnused
      pkgs.gnutar
      pkgs.zstd
    ];
    runtimeEnv = {
      PGDATA = dataDir;
      ARCHIVE = cfg.archive;
      BASE_BACKUPS = cfg.baseBackups;
      PEERS = lib.concatMapStringsSep " " (node: node.privateAddress) (lib.attrValues peers);
      ROLE_PORT = toString rolePort;
      PRIMARY_PORT = toString port;
      PASSFILE = passfile;
      OWN_SLOT = slotOf fleet.node;
      BEGINS = if primary then "primary" else "standby";
      SLOTS = lib.concatMapStringsSep " " slotOf (lib.attrNames peers);
    };
    text = builtins.readFile ../records/records.sh;
  };

  passfile = "/run/postgresql/replication.pgpass";

  server = node: "  server ${node} ${nodes.${node}.privateAddress}:${toString port}";
in
{
  options.quizmentor.records = {
    memory = mkOption {
      type = types.ints.positive;
      default = if primary then 1280 else 512;
      description = "Memory in MiB that the server may take.";
    };
    archive = mkOption {
      type = types.str;
      default = "${fleet.backups.directory}/wal";
      defaultText = "wal in the directory of backups";
      description = "Where finished WAL segments are kept, compressed.";
    };
    baseBackups = mkOption {
      type = types.str;
      default = "${fleet.backups.directory}/base";
      defaultText = "base in the directory of backups";
      description = "Where base backups are kept.";
    };
    command = mkOption {
      type = types.package;
      readOnly = true;
      description = "The command of operators, quizmentor-records.";
    };
    localPort = mkOption {
      type = types.port;
      default = 6432;
      description = "Port of the loopback interface at which each node finds the primary.";
    };
  };

  config = lib.mkMerge [
    { quizmentor.records.command = records; }
    (lib.mkIf (nodes != { } && fleet.hasRole "balancer") {
      services.haproxy.config = lib.mkAfter ''
        # The primary of the records, whichever node it is on.
        listen records
          mode tcp
          option tcplog
          no option idle-close-on-response
          option redispatch 1
          bind 127.0.0.1:${toString cfg.localPort}
          timeout client 1h
          timeout server 1h
          option httpchk GET /primary
          timeout check 5s
          default-server check port ${toString rolePort} inter 3s fastinter 1s fall 3 rise 1 on-marked-down shutdown-sessions
        ${lib.concatMapStringsSep "\n" server (lib.attrNames nodes)}
      '';
    })

    (lib.mkIf (primary || standby) {
      quizmentor.secrets = lib.genAttrs (lib.attrValues passwords) (_: {
        restartUnits = [ "quizmentor-records-roles.service" ];
      });
      quizmentor.state = {
        postgresql.backedUpBy = [ "quizmentor-base-backup" ];
        quizmentor-records-roles.expendable = "has no state of its own";
      };
      environment.systemPackages = [ records ];

      services.postgresql = {
        enable = true;
        package = pkgs.postgresql_17;
        ensureDatabases = [
          "quizmentor"
          "unleash"
        ];
        ensureUsers = [
          {
            name = "quizmentor";
            ensureDBOwnership = true;
          }
          {
            name = "unleash";
            ensureDBOwnership = true;
          }
          {
            name = "replication";
            ensureClauses.replication = true;
          }
        ];
        settings = {
          listen_addresses = lib.mkForce "127.0.0.1,${self.privateAddress}";
          inherit port;
          password_encryption = "scram-sha-256";
          max_connections = 100;
          shared_buffers = "${toString (cfg.memory / 4)}MB";
          effective_cache_size = "${toString (cfg.memory / 2)}MB";
          work_mem = "8MB";
          maintenance_work_mem = "${toString (cfg.memory / 16)}MB";
          random_page_cost = 1.1;
          jit = "off";

          wal_level = "replica";
          wal_compression = "zstd";
          max_wal_size = "2GB";
          checkpoint_completion_target = 0.9;
          max_wal_senders = 5;
          # A standby that stays away must not fill the disk.
          max_slot_wal_keep_size = "8GB";
          archive_mode = "on";
          archive_command = "${lib.getExe archive} '${cfg.archive}' '%p' '%f'";
          archive_timeout = "60s";
          # To standard output: as -o, zstd would hand the file's owner on, which the sandbox forbids.
          restore_command = "${pkgs.zstd}/bin/zstd -dcq '${cfg.archive}/%f.zst' > '%p'";
          primary_conninfo =
            lib.optionalString (peers != { })
              "host=${(lib.head (lib.attrValues peers)).privateAddress} port=${toString port} user=replication passfile=${passfile} application_name=${slotOf fleet.node}";
          primary_slot_name = slotOf fleet.node;
          hot_standby_feedback = "on";

          log_min_duration_statement = "500ms";
          log_checkpoints = "on";
          log_lock_waits = "on";
          idle_in_transaction_session_timeout = "60s";
          track_io_timing = "on";
          shared_preload_libraries = "pg_stat_statements";
        };
        authentication = lib.mkForce ''
          local all         postgres                   peer map=postgres
          local all         postgres-exporter          peer
          local quizmentor  quizmentor                 peer map=quizmentor
          host  quizmentor  quizmentor  ${range}  scram-sha-256
          host  unleash     unleash     ${range}  scram-sha-256
          ${lib.concatMapStringsSep "\n" (
            node: "host  replication replication ${node.privateAddress}/32 scram-sha-256"
          ) (lib.attrValues peers)}
        '';
        identMap = ''
          postgres    postgres   postgres
          postgres    root       postgres
          quizmentor  quizmentor quizmentor
        '';
      };

      systemd.services.postgresql = {
        preStart = lib.mkIf (peers != { }) (lib.mkBefore "${lib.getExe records} join");
        after = [
          "network-online.target"
          "quizmentor-backup-directories.service"
        ];
        wants = [
          "network-online.target"
          "quizmentor-backup-directories.service"
        ];
        # A node without data tries until a primary is there to be copied.
        unitConfig = lib.mkIf (peers != { }) { StartLimitIntervalSec = lib.mkForce 0; };
        serviceConfig = {
          RestartSec = "2s";
          LoadCredential = lib.mkIf (peers != { }) [
            "replication-password:${secretPath "replication-password"}"
          ];
          MemoryMax = "${toString cfg.memory}M";
          OOMScoreAdjust = -500;
          ReadWritePaths = [
            "-${cfg.archive}"
            "-${cfg.baseBackups}"
          ];
          TimeoutStartSec = lib.mkForce (if peers != { } then "1h" else "10min");
        };
      };

      systemd.services.postgresql-setup.serviceConfig = lib.mapAttrs (_: lib.mkDefault) (
        hardening.base
        // {
          PrivateUsers = false;
          ReadWritePaths = [ "/var/lib/postgresql" ];
        }
      );

      # Passwords of the roles, from the secrets, and the slots of the standbys.
      systemd.services.quizmentor-records-roles = {
        description = "Passwords and replication slots of the records";
        wantedBy = [ "postgresql.target" ];
        requires = [ "postgresql-setup.service" ];
        after = [ "postgresql-setup.service" ];
        serviceConfig = hardening.base // {
          Type = "oneshot";
          RemainAfterExit = true;
          User = "postgres";
          ExecStart = "${lib.getExe records} set-up";
          LoadCredential = lib.mapAttrsToList (role: secret: "${role}:${secretPath secret}") passwords;
          PrivateUsers = false;
          MemoryMax = "64M";
        };
      };

      systemd.sockets.quizmentor-records-role = {
        description = "Tells load balancers whether this node holds the primary";
        wantedBy = [ "sockets.target" ];
        listenStreams = [ "${self.privateAddress}:${toString rolePort}" ];
        socketConfig = {
          Accept = true;
          FreeBind = true;
          MaxConnections = 16;
        };
      };
      systemd.services."quizmentor-records-role@" = {
        description = "Answer whether this node holds the primary";
        # Not the end of all answers when one was late.
        unitConfig.CollectMode = "inactive-or-failed";
        serviceConfig =
          hardening.base
          // hardening.relax.fleetNetwork [ range ]
          // {
            User = "postgres";
            ExecStart = "${lib.getExe records} answer-role";
            StandardInput = "socket";
            StandardError = "journal";
            PrivateUsers = false;
            # Who balances must not take a busy primary for a lost one.
            Nice = -5;
            RuntimeMaxSec = "5s";
            MemoryMax = "32M";
          };
      };

      networking.firewall.interfaces.${fleet.fleet.network.interface}.allowedTCPPorts = [
        port
        rolePort
      ];
    })
  ];
}
