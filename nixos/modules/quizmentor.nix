# The platform's own services: instances of the one binary, each with some of its roles.
#
# An instance has two slots, so that a new release starts beside the one that serves. A slot runs
# what its link in /nix/var/nix/gcroots/quizmentor points to, and only the rollout (rollout.nix)
# moves links and starts slots: neither a switch nor a restart after a crash changes the release
# that a slot runs.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.quizmentor;
  hardening = import ../lib/hardening.nix;
  toml = pkgs.formats.toml { };

  colours = [
    "blue"
    "green"
  ];

  duration = types.strMatching "[0-9]+(ms|s|m|h)";

  # A setting that is left out has the binary's default, which crates/quizmentor/defaults.toml
  # documents.
  setting =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  section =
    options:
    mkOption {
      type = types.submodule {
        freeformType = toml.type;
        inherit options;
      };
      default = { };
      description = "A section of the settings; see `quizmentor config print`.";
    };

  settingsType = types.submodule {
    freeformType = toml.type;
    options = {
      server = section {
        request_timeout = setting duration "A request that has no answer by then gets status 504.";
        trusted_proxies = setting (types.listOf types.str) "Proxies whose X-Forwarded-For is believed.";
        drain_timeout = setting duration "How long running requests may take to finish after SIGTERM.";
      };
      limits = section {
        connections = setting (types.ints.between 1 1000000) "Connections served at once.";
        header_timeout = setting duration "Time for a request's head to arrive in full.";
        idle_timeout = setting duration "An idle connection is closed after this time.";
        headers = setting (types.ints.between 1 1000) "Header fields in a request.";
        header_bytes = setting (types.ints.between 8192 1048576) "Size of a request's head.";
        streams = setting (types.ints.between 1 10000) "Requests at once on one HTTP/2 connection.";
      };
      log = section {
        filter = setting types.str "What is logged: a level, or levels by module.";
      };
      records = section {
        url = setting types.str "PostgreSQL database of everything durable; SQLite without it.";
      };
      cache = section {
        url = setting types.str "Redis server of what may be lost; the process itself without it.";
      };
      vectors = section {
        url = setting types.str "Qdrant server that searches by meaning; the process itself without it.";
      };
      flags = section {
        url = setting types.str "API of the Unleash server that tells who has which feature; the settings do without it.";
      };
      traces = section {
        url = setting types.str "Who takes traces by OTLP over gRPC; nobody without it.";
        share = setting (types.numbers.between 0 1) "Share of the requests that are traced.";
      };
    };
  };

  withoutNulls = lib.filterAttrsRecursive (_: value: value != null);

  instanceModule =
    { name, config, ... }:
    {
      options = {
        roles = mkOption {
          type = types.nonEmptyListOf (
            types.enum [
              "bloom"
              "adaptive"
              "bank"
              "jobs"
              "web"
            ]
          );
          description = "What the instance does.";
        };
        port = mkOption {
          type = types.port;
          description = ''
            Where the fleet reaches the instance on this machine's `address`, whichever slot
            serves. The slots listen on the loopback interface at the two ports after it.
          '';
        };
        memoryMax = mkOption {
          type = types.strMatching "[0-9]+[MG]";
          default = "1G";
          description = "Memory that one slot may take; during a rollout there are two.";
        };
        credentials = mkOption {
          type = types.attrsOf types.str;
          default = { };
          example.token-key = "/run/secrets/quizmentor/token-key";
          description = "Secrets by the name that the binary knows, as files outside the store.";
        };
        settings = mkOption {
          type = settingsType;
          default = { };
          description = "Settings of this instance, over those of all.";
        };
        sandbox = mkOption {
          type = types.attrs;
          default = hardening.relax.fleetNetwork cfg.peers;
          defaultText = lib.literalExpression "hardening.relax.fleetNetwork cfg.peers";
          description = "Named relaxations of lib/hardening.nix.";
        };
        slotPorts = mkOption {
          type = types.attrsOf types.port;
          readOnly = true;
          description = "Where each slot listens on the loopback interface.";
        };
        finalSettings = mkOption {
          type = types.attrs;
          readOnly = true;
          description = "The settings as they are rendered.";
        };
        release = mkOption {
          type = types.package;
          readOnly = true;
          description = "What a slot runs: the package and the settings.";
        };
      };
      config = {
        inherit (cfg) credentials;
        slotPorts = {
          blue = config.port + 1;
          green = config.port + 2;
        };
        finalSettings = lib.foldl' lib.recursiveUpdate { } [
          (withoutNulls cfg.settings)
          (withoutNulls config.settings)
          { server = { inherit (config) roles; }; }
        ];
        release = mkRelease name config;
      };
    };

  # All that makes a running slot differ from another: when it changes, so does the release, and
  # the instance is rolled out.
  mkRelease =
    name: instance:
    let
      settings = toml.generate "quizmentor-${name}.toml" instance.finalSettings;
      unit = pkgs.writeText "quizmentor-${name}-unit.json" (
        builtins.toJSON (serviceConfig name instance)
      );
    in
    pkgs.linkFarm "quizmentor-release-${name}" {
      "bin/quizmentor" = lib.getExe cfg.package;
      "quizmentor.toml" = settings;
      "unit.json" = unit;
    };

  serviceConfig =
    _: instance:
    hardening.base
    // {
      Type = "notify";
      NotifyAccess = "main";
      User = "quizmentor";
      Group = "quizmentor";
      Slice = "quizmentor.slice";
      StateDirectory = "quizmentor";
      StateDirectoryMode = "0700";
      LoadCredential = lib.mapAttrsToList (
        credential: file: "${credential}:${file}"
      ) instance.credentials;
      TimeoutStartSec = "60s";
      TimeoutStopSec = "35s";
      WatchdogSec = "15s";
      Restart = "always";
      RestartSec = "1s";
      OOMPolicy = "kill";
      MemoryMax = instance.memoryMax;
      MemorySwapMax = "0";
      TasksMax = 256;
      LimitNOFILE = 65536;
      # The socket unit listens in its place.
      SocketBindDeny = "any";
    }
    // instance.sandbox;

  forSlots =
    make:
    lib.concatMapAttrs (
      name: instance:
      lib.listToAttrs (
        map (colour: {
          name = "quizmentor-${name}-${colour}";
          value = make name instance colour;
        }) colours
      )
    ) cfg.instances;
in
{
  options.services.quizmentor = {
    enable = lib.mkEnableOption "QuizMentor";
    package = mkOption {
      type = types.package;
      description = "The package that holds the binary, its models and its pages.";
    };
    address = mkOption {
      type = types.str;
      default = "127.0.0.1";
      description = "This machine's address in the fleet's private network.";
    };
    peers = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "10.0.0.0/24" ];
      description = "Addresses of the fleet, besides the machine itself, that instances speak to.";
    };
    settings = mkOption {
      type = settingsType;
      default = { };
      description = "Settings of all instances on this machine, rendered to TOML.";
    };
    credentials = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "Secrets of all instances on this machine.";
    };
    instances = mkOption {
      type = types.attrsOf (types.submodule instanceModule);
      default = { };
      description = "Processes of the binary, by name.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions =
      let
        ports = lib.concatMap (instance: [ instance.port ] ++ lib.attrValues instance.slotPorts) (
          lib.attrValues cfg.instances
        );
      in
      [
        {
          assertion = lib.allUnique ports;
          message = "services.quizmentor.instances: an instance takes its port and the two after it, and some overlap";
        }
        {
          assertion = lib.all (name: builtins.match "[a-z][a-z0-9]*" name != null) (
            lib.attrNames cfg.instances
          );
          message = "services.quizmentor.instances: a name is made of small letters and digits";
        }
      ];

    users.users.quizmentor = {
      isSystemUser = true;
      group = "quizmentor";
    };
    users.groups.quizmentor = { };

    systemd.slices.quizmentor.description = "QuizMentor";

    systemd.sockets = forSlots (
      name: instance: colour: {
        description = "QuizMentor ${name}, slot ${colour}";
        listenStreams = [ "127.0.0.1:${toString instance.slotPorts.${colour}}" ];
        socketConfig = {
          Backlog = 1024;
          NoDelay = true;
        };
      }
    );

    systemd.services = forSlots (
      name: instance: colour:
      let
        release = "/nix/var/nix/gcroots/quizmentor/${name}-${colour}";
      in
      {
        description = "QuizMentor ${name}, slot ${colour}";
        after = [ "network-online.target" ];
        wants = [ "network-online.target" ];
        # Only the rollout starts, stops and replaces slots.
        restartIfChanged = false;
        stopIfChanged = false;
        unitConfig.StartLimitIntervalSec = 0;
        serviceConfig = serviceConfig name instance // {
          ExecStart = "${release}/bin/quizmentor serve --config ${release}/quizmentor.toml";
          ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        };
      }
    );
  };
}
