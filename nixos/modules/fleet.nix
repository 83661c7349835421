# The fleet this host belongs to, and its place in it.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.quizmentor;
in
{
  options.quizmentor = {
    fleet = mkOption {
      type = types.raw;
      description = "The fleet's description, checked by nixos/lib/fleet.nix.";
    };
    node = mkOption {
      type = types.str;
      description = "This host's name in the fleet.";
    };
    self = mkOption {
      type = types.raw;
      readOnly = true;
      description = "This host's entry in the fleet.";
    };
    hasRole = mkOption {
      type = types.functionTo types.bool;
      readOnly = true;
      description = "Whether this host has the named role.";
    };
    nodesWith = mkOption {
      type = types.functionTo (types.attrsOf types.raw);
      readOnly = true;
      description = "The fleet's nodes that have the named role.";
    };
    addressOf = mkOption {
      type = types.functionTo types.str;
      readOnly = true;
      description = "Private address of the first node with the named role, or of this one if it has it.";
    };
  };

  config = {
    quizmentor = {
      self = cfg.fleet.nodes.${cfg.node};
      hasRole = role: lib.elem role cfg.self.roles;
      nodesWith = role: lib.filterAttrs (_: node: lib.elem role node.roles) cfg.fleet.nodes;
      addressOf =
        role:
        if cfg.hasRole role then
          cfg.self.privateAddress
        else
          (lib.head (
            lib.attrValues (cfg.nodesWith role)
            ++ [ (throw "no node of the fleet ${cfg.fleet.name} has the role ${role}") ]
          )).privateAddress;
    };

    networking.hostName = cfg.node;
    networking.hosts = lib.mapAttrs' (
      name: node: lib.nameValuePair node.privateAddress [ name ]
    ) cfg.fleet.nodes;
  };
}
