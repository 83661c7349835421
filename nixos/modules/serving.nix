# Which instances of the binary each node of the fleet runs, and who serves what for the front
# doors.
#
# The engines' nodes run everything that learners and authors use, an instance a concern. The node
# of the records runs the background work beside its data. Every other node that balances keeps one
# instance of all roles in reserve: it gets requests only when no other member of a role is there.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  fleet = config.quizmentor;
  inherit (fleet) hasRole self;

  # Instances by the kind of node, with the ports that they take on each.
  engines = {
    adaptive = {
      roles = [ "adaptive" ];
      port = 8110;
      memoryMax = "768M";
    };
    bloom = {
      roles = [ "bloom" ];
      port = 8120;
      memoryMax = "768M";
    };
    site = {
      roles = [
        "bank"
        "web"
      ];
      port = 8130;
      memoryMax = "512M";
    };
  };
  background.jobs = {
    roles = [ "jobs" ];
    port = 8140;
    memoryMax = "512M";
  };
  reserve.reserve = {
    roles = [
      "adaptive"
      "bank"
      "bloom"
      "web"
    ];
    port = 8150;
    memoryMax = "512M";
  };

  instancesOf =
    node:
    let
      has = role: lib.elem role node.roles;
    in
    lib.optionalAttrs (has "engines") engines
    // lib.optionalAttrs (has "records") background
    // lib.optionalAttrs (has "balancer" && !has "engines") reserve;

  memberOf = node: address: name: instance: {
    name = "${node}-${name}";
    inherit address;
    inherit (instance) port roles;
    backup = name == "reserve";
  };

  # The pods' service listens on this port of each node that may run pods.
  podPort = 30080;
  pods = lib.mapAttrsToList (name: node: {
    name = "${name}-pods";
    address = node.privateAddress;
    port = podPort;
    inherit (reserve.reserve) roles;
    weight = 25;
  }) (fleet.nodesWith "pods");

  members =
    lib.concatLists (
      lib.mapAttrsToList (
        name: node: lib.mapAttrsToList (memberOf name node.privateAddress) (instancesOf node)
      ) fleet.fleet.nodes
    )
    ++ pods;
in
{
  config = lib.mkIf (hasRole "balancer") {
    quizmentor.secrets."quizmentor/token-key".restartUnits = [ "quizmentor-rollout.service" ];

    services.quizmentor = {
      enable = true;
      package = lib.mkDefault pkgs.quizmentor.server;
      address = self.privateAddress;
      peers = [ fleet.fleet.network.range ];
      guard.enable = true;
      # The front door names whom it serves.
      settings.server.trusted_proxies = [ "127.0.0.1" ];
      instances = lib.mapAttrs (
        _: instance: instance // { credentials.token-key = fleet.secrets."quizmentor/token-key".path; }
      ) (instancesOf self);
      frontDoor = {
        bind = [ "*:${toString fleet.fleet.openPorts.http}" ];
        balancers = lib.optional (fleet.fleet.loadBalancer != null) fleet.fleet.loadBalancer.privateAddress;
        edges = fleet.fleet.edgeNetworks;
        inherit members;
      };
    };
  };
}
