# What evaluation refuses: hosts whose units may use more memory than there is, units without a
# sandbox, ports open to the world that the fleet does not name, state without a backup.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.quizmentor;
  inherit (cfg.self.server) memory;

  mebibyte = 1024 * 1024;
  sizes = {
    "" = 1;
    K = 1024;
    M = mebibyte;
    G = 1024 * mebibyte;
  };
  # MiB of a systemd size such as "512M".
  mebibytes =
    size:
    let
      parts = builtins.match "([0-9]+)([KMG]?)" (toString size);
    in
    lib.throwIf (parts == null) "MemoryMax=${toString size} is no number of bytes, such as 512M" (
      lib.toInt (lib.head parts) * sizes.${lib.last parts} / mebibyte
    );

  # The operating system's own services, and nixpkgs' set-up units, are not this project's to judge.
  ofTheSystem =
    name:
    lib.any (prefix: lib.hasPrefix prefix name) [
      "autovt@"
      "container"
      "dbus"
      "emergency"
      "firewall"
      "generate-shutdown-ramfs"
      "growpart"
      "getty"
      "kmod"
      "linger-users"
      "logrotate"
      "mount-"
      "network-"
      "nftables"
      "nix-"
      "nixos-"
      "nscd"
      "post-boot"
      "post-resume"
      "pre-sleep"
      "prepare-kexec"
      "reload-systemd"
      "rescue"
      "resolvconf"
      "rpc"
      "save-hwclock"
      "serial-getty"
      "sleep-actions"
      "sops-"
      "sshd"
      "suid-sgid"
      "system-"
      "systemd-"
      "user-runtime-dir"
      "user@"
      "zram"
    ];
  services = lib.filterAttrs (
    name: service: service.enable && service.serviceConfig ? ExecStart && !ofTheSystem name
  ) config.systemd.services;

  # A slice with a limit stands for its services.
  limitedSlices = lib.filterAttrs (_: slice: slice.sliceConfig ? MemoryMax) config.systemd.slices;
  inLimitedSlice =
    service: limitedSlices ? ${lib.removeSuffix ".slice" (service.serviceConfig.Slice or "")};
  limited = lib.filterAttrs (
    _: service: service.serviceConfig ? MemoryMax && !inLimitedSlice service
  ) services;
  unlimited = lib.filterAttrs (
    name: service:
    !service.serviceConfig ? MemoryMax
    && !inLimitedSlice service
    && !lib.elem (service.serviceConfig.Type or "") [ "oneshot" ]
    && !cfg.unlimited ? ${name}
  ) services;

  claims =
    lib.mapAttrs (_: service: mebibytes service.serviceConfig.MemoryMax) limited
    // lib.mapAttrs' (
      name: slice: lib.nameValuePair "${name}.slice" (mebibytes slice.sliceConfig.MemoryMax)
    ) limitedSlices
    // cfg.memory.reserved;
  claimed = lib.foldl' builtins.add 0 (lib.attrValues claims);
  available = memory * 9 / 10;
  table = lib.concatStringsSep ", " (
    lib.mapAttrsToList (name: size: "${name} ${toString size}") claims
  );

  # The least that a sandbox has; lib/hardening.nix has much more.
  sandbox = [
    "CapabilityBoundingSet"
    "NoNewPrivileges"
    "PrivateTmp"
    "ProtectHome"
    "ProtectSystem"
    "RestrictAddressFamilies"
  ];
  missing = service: lib.filter (setting: !service.serviceConfig ? ${setting}) sandbox;
  unhardened = lib.filterAttrs (
    name: service: missing service != [ ] && !cfg.unhardened ? ${name}
  ) services;

  stateful = lib.filterAttrs (_: service: service.serviceConfig ? StateDirectory) services;
  unnamed = lib.subtractLists (lib.attrNames cfg.state) (lib.attrNames stateful);
  makesBackups = unit: config.systemd.services ? ${unit} && config.systemd.timers ? ${unit};
  unkept = lib.filterAttrs (
    _: state:
    state.expendable == null && (state.backedUpBy == [ ] || !lib.all makesBackups state.backedUpBy)
  ) cfg.state;

  firewall = config.networking.firewall;
  unnamedPorts = lib.subtractLists (lib.attrValues cfg.fleet.openPorts) firewall.allowedTCPPorts;
  publicInterfaces = lib.filterAttrs (
    interface: rules:
    interface != cfg.fleet.network.interface
    &&
      (
        rules.allowedTCPPorts
        ++ rules.allowedUDPPorts
        ++ rules.allowedTCPPortRanges
        ++ rules.allowedUDPPortRanges
      ) != [ ]
  ) firewall.interfaces;

  reasons =
    description:
    mkOption {
      type = types.attrsOf types.str;
      default = { };
      inherit description;
    };
in
{
  options.quizmentor = {
    memory.reserved = mkOption {
      type = types.attrsOf types.ints.unsigned;
      default = { };
      description = "Memory in MiB set aside for what has no unit of its own, by name.";
    };
    memory.claims = mkOption {
      type = types.attrsOf types.ints.unsigned;
      readOnly = true;
      description = "Memory limits in MiB of all units, slices and reservations.";
    };
    ownUnits = mkOption {
      type = types.listOf types.str;
      readOnly = true;
      description = "Units that are not the operating system's own.";
    };
    unhardened = reasons "Units without a full sandbox, each with the reason.";
    unlimited = reasons "Units without a memory limit, each with the reason.";
  };

  config = {
    quizmentor.memory.claims = claims;
    quizmentor.ownUnits =
      lib.concatMap (
        name:
        lib.filter (unit: config.systemd.units ? ${unit}) [
          "${name}.service"
          "${name}.socket"
          "${name}.timer"
          "${lib.removeSuffix "@" name}.socket"
        ]
      ) (lib.attrNames services)
      ++ map (name: "${name}.slice") (lib.attrNames limitedSlices ++ [ "quizmentor" ]);
    assertions = [
      {
        assertion = claimed <= available;
        message = "${cfg.node}: the memory limits add up to ${toString claimed} MiB, more than 90 % of the ${toString memory} MiB of a ${cfg.self.type} (${toString available}): ${table}";
      }
      {
        assertion = unlimited == { };
        message = "${cfg.node}: these units have no MemoryMax, and quizmentor.unlimited names no reason: ${toString (lib.attrNames unlimited)}";
      }
      {
        assertion = unhardened == { };
        message = "${cfg.node}: these units lack a sandbox, and quizmentor.unhardened names no reason: ${
          lib.concatStringsSep "; " (
            lib.mapAttrsToList (name: service: "${name} (${toString (missing service)})") unhardened
          )
        }";
      }
      {
        assertion = unnamed == [ ];
        message = "${cfg.node}: these units keep state of which quizmentor.state says nothing: ${toString unnamed}";
      }
      {
        assertion = unkept == { };
        message = "${cfg.node}: this state has no backup that exists and has a timer: ${toString (lib.attrNames unkept)}";
      }
      {
        assertion = unnamedPorts == [ ] && publicInterfaces == { };
        message = "${cfg.node}: open to the world but not among openPorts of the fleet: ${
          toString (unnamedPorts ++ lib.attrNames publicInterfaces)
        }";
      }
      {
        assertion =
          firewall.enable
          &&
            firewall.allowedUDPPorts ++ firewall.allowedTCPPortRanges ++ firewall.allowedUDPPortRanges == [ ];
        message = "${cfg.node}: the firewall is off, or opens UDP ports or port ranges to the world";
      }
    ];
  };
}
