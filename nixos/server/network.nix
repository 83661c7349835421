# The public address is routed to the server alone (/32, gateway on the link); the private network
# has a smaller MTU. The interfaces are told apart by what the provider's virtio cards are called.
{ config, lib, ... }:
let
  inherit (config.quizmentor) self fleet;
  gateway = "172.31.1.1";
  prefix = lib.last (lib.splitString "/" fleet.network.range);
in
{
  networking.useDHCP = false;
  networking.useNetworkd = true;
  systemd.network = {
    enable = true;
    wait-online.anyInterface = true;
    networks = {
      "10-private" = {
        matchConfig.Name = fleet.network.interface;
        address = [ "${self.privateAddress}/${prefix}" ];
        linkConfig.MTUBytes = "1450";
        linkConfig.RequiredForOnline = "no";
      };
    }
    // lib.optionalAttrs (self.publicAddress != null) {
      "20-public" = {
        matchConfig.Name = "enp1s0 eth0";
        address = [
          "${self.publicAddress}/32"
        ]
        ++ lib.optional (fleet.floatingAddress != null) "${fleet.floatingAddress}/32";
        routes = [
          {
            Gateway = gateway;
            GatewayOnLink = true;
          }
        ];
        dns = [
          "185.12.64.1"
          "185.12.64.2"
        ];
      };
    };
  };
}
