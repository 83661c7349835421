# The shape of hosts/fleet.nix: price list and fleets, checked as they are read.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;

  price = types.either types.ints.unsigned types.float;

  serverType = types.submodule {
    options = {
      cores = mkOption {
        type = types.ints.positive;
        description = "Virtual processors.";
      };
      memory = mkOption {
        type = types.ints.positive;
        description = "RAM in MiB.";
      };
      disk = mkOption {
        type = types.ints.positive;
        description = "Local disk in GB.";
      };
      traffic = mkOption {
        type = types.ints.positive;
        description = "Included outgoing traffic in TB a month.";
      };
      price = mkOption {
        type = price;
        description = "EUR a month before tax, without a public address.";
      };
    };
  };

  node = types.submodule (
    { config, ... }:
    {
      options = {
        type = mkOption {
          type = types.enum (lib.attrNames serverTypes);
          description = "Server type, a name in the price list.";
        };
        server = mkOption {
          type = types.raw;
          readOnly = true;
          default = serverTypes.${config.type};
          defaultText = "the server type's figures";
          description = "What the price list says of the type.";
        };
        roles = mkOption {
          type = types.nonEmptyListOf (
            types.enum [
              "backups"
              "balancer"
              "cache"
              "control-plane"
              "engines"
              "flags"
              "logs"
              "monitoring"
              "pods"
              "records"
              "records-standby"
              "vectors"
            ]
          );
          description = "What the node does: the modules in nixos/modules look for their role.";
        };
        publicAddress = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "IPv4 address the provider gave the server.";
        };
        privateAddress = mkOption {
          type = types.str;
          description = "IPv4 address in the fleet's private network.";
        };
      };
    }
  );

  volume = types.submodule {
    options = {
      size = mkOption {
        type = types.ints.positive;
        description = "Size in GB.";
      };
      node = mkOption {
        type = types.str;
        description = "Node that it is attached to.";
      };
      device = mkOption {
        type = types.strMatching "/dev/disk/by-id/.+";
        description = "Stable device name of the volume.";
      };
      mountPoint = mkOption {
        type = types.strMatching "/.+";
        description = "Where the node mounts it.";
      };
    };
  };

  fleet = types.submodule (
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = types.str;
          default = name;
          readOnly = true;
          description = "The fleet's name.";
        };
        domain = mkOption {
          type = types.str;
          description = "Name under which learners reach the fleet.";
        };
        budget = mkOption {
          type = types.ints.positive;
          description = "Most that the fleet may cost, USD a month.";
        };
        network = mkOption {
          type = types.submodule {
            options = {
              range = mkOption {
                type = types.strMatching "[0-9.]+/[0-9]+";
                description = "Private network of the fleet.";
              };
              interface = mkOption {
                type = types.str;
                default = "enp7s0";
                description = "Interface of the private network on each node.";
              };
            };
          };
          description = "The private network.";
        };
        openPorts = mkOption {
          type = types.attrsOf types.port;
          description = "TCP ports that the world may reach on every node, by purpose.";
        };
        nodes = mkOption {
          type = types.attrsOf node;
          description = "The servers.";
        };
        volumes = mkOption {
          type = types.attrsOf volume;
          default = { };
          description = "Network volumes.";
        };
        loadBalancer = mkOption {
          type = types.nullOr (
            types.submodule {
              options = {
                type = mkOption {
                  type = types.str;
                  description = "Type, a name in the price list.";
                };
                privateAddress = mkOption {
                  type = types.str;
                  description = "Address in the private network, from which it reaches the nodes.";
                };
              };
            }
          );
          default = null;
          description = "The provider's load balancer in front of the nodes.";
        };
        edgeNetworks = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Networks from which the edge reaches the fleet.";
        };
        floatingAddress = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "Address that can be moved between nodes without the load balancer.";
        };
        managed = mkOption {
          type = types.attrsOf price;
          default = { };
          description = "Services bought from others, USD a month.";
        };
      };
    }
  );

  serverTypes = config.prices.servers;
in
{
  options = {
    prices = {
      asOf = mkOption {
        type = types.strMatching "[0-9]{4}-[0-9]{2}-[0-9]{2}";
        description = "Day on which the prices were read.";
      };
      dollarsPerEuro = mkOption {
        type = price;
        description = "Rate at which EUR prices are turned into USD.";
      };
      servers = mkOption {
        type = types.attrsOf serverType;
        description = "Server types.";
      };
      loadBalancers = mkOption {
        type = types.attrsOf price;
        description = "Load balancer types, EUR a month.";
      };
      volumeGB = mkOption {
        type = price;
        description = "One GB of volume, EUR a month.";
      };
      address = mkOption {
        type = price;
        description = "A public IPv4 address, EUR a month.";
      };
      floatingAddress = mkOption {
        type = price;
        description = "A floating IPv4 address, EUR a month.";
      };
    };
    fleets = mkOption {
      type = types.attrsOf fleet;
      description = "The fleets.";
    };
  };
}
