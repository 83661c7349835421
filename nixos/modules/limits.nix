# What evaluation refuses: hosts whose units may use more memory than there is, units without
# hardening, ports open to the world that the fleet does not name, state without a backup.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.quizmentor;
  inherit (cfg.self.server) memory;

  units = {
    B = 1;
    K = 1024;
    M = 1024 * 1024;
    G = 1024 * 1024 * 1024;
  };
  # MiB of a systemd size such as "512M".
  mebibytes =
    size:
    let
      parts = builtins.match "([0-9]+)([BKMG]?)" (toString size);
      unit = lib.elemAt parts 1;
    in
    lib.throwIf (parts == null) "MemoryMax=${toString size} is no number of bytes, such as 512M" (
      lib.toInt (lib.elemAt parts 0) * units.${if unit == "" then "B" else unit} / units.M
    );

  limited = lib.filterAttrs (
    _: service: service.enable && service.serviceConfig ? MemoryMax
  ) config.systemd.services;
  ofUnits = lib.mapAttrs (_: service: mebibytes service.serviceConfig.MemoryMax) limited;
  claims = ofUnits // cfg.memory.reserved;
  claimed = lib.foldl' builtins.add 0 (lib.attrValues claims);
  available = memory * 9 / 10;
  table = lib.concatStringsSep ", " (
    lib.mapAttrsToList (name: size: "${name} ${toString size}") claims
  );
in
{
  options.quizmentor.memory = {
    reserved = mkOption {
      type = types.attrsOf types.ints.unsigned;
      default = { };
      description = "Memory in MiB set aside for what has no unit of its own, by name.";
    };
    claims = mkOption {
      type = types.attrsOf types.ints.unsigned;
      readOnly = true;
      description = "Memory limits in MiB of all units and reservations.";
    };
  };

  config = {
    quizmentor.memory.claims = claims;
    assertions = [
      {
        assertion = claimed <= available;
        message = "${cfg.node}: the memory limits add up to ${toString claimed} MiB, more than 90 % of the ${toString memory} MiB of a ${cfg.self.type}: ${table}";
      }
    ];
  };
}
