# The cache: Redis, in memory alone. What is in it may be lost at any moment.
{ config, lib, ... }:
let
  fleet = config.quizmentor;
  inherit (fleet) self;
  memory = 256;
in
{
  config = lib.mkIf (fleet.hasRole "cache") {
    quizmentor.secrets.cache-password = {
      owner = "redis-quizmentor";
      restartUnits = [ "redis-quizmentor.service" ];
    };
    quizmentor.state.redis-quizmentor.expendable = "a cache: the records have everything in it";

    services.redis.servers.quizmentor = {
      enable = true;
      bind = "127.0.0.1 ${self.privateAddress}";
      port = 6379;
      requirePassFile = fleet.secrets.cache-password.path;
      save = [ ];
      appendOnly = false;
      settings = {
        maxmemory = "${toString memory}mb";
        maxmemory-policy = "allkeys-lfu";
        tcp-keepalive = 60;
        timeout = 0;
      };
    };
    systemd.services.redis-quizmentor.serviceConfig = {
      # Room for the buffers of its clients beside the data.
      MemoryMax = "${toString (memory + 128)}M";
      Restart = "always";
    };
    # Pages are not copied on a fork, since nothing is saved; still Redis warns without it.
    boot.kernel.sysctl."vm.overcommit_memory" = lib.mkDefault 1;

    networking.firewall.interfaces.${fleet.fleet.network.interface}.allowedTCPPorts = [ 6379 ];
  };
}
