# The vectors of the question bank: Qdrant. They can be computed anew from the records, which takes
# hours, so they are kept by snapshots all the same.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  fleet = config.quizmentor;
  inherit (fleet) self;
  hardening = import ../lib/hardening.nix;

  # Qdrant takes its key from the environment or the settings only; a credential is neither in the
  # store nor in the unit.
  start = pkgs.writeShellApplication {
    name = "quizmentor-qdrant";
    text = ''
      QDRANT__SERVICE__API_KEY=$(cat "$CREDENTIALS_DIRECTORY/vectors-api-key")
      export QDRANT__SERVICE__API_KEY
      exec ${lib.getExe' config.services.qdrant.package "qdrant"} --config-path "$1"
    '';
  };
  settings = (pkgs.formats.yaml { }).generate "qdrant.yaml" config.services.qdrant.settings;
in
{
  config = lib.mkIf (fleet.hasRole "vectors") {
    quizmentor.secrets.vectors-api-key.restartUnits = [ "qdrant.service" ];
    quizmentor.state.qdrant.backedUpBy = [ "quizmentor-vectors-snapshot" ];

    services.qdrant = {
      enable = true;
      settings = {
        service = {
          host = self.privateAddress;
          http_port = 6333;
          grpc_port = 6334;
          enable_static_content = false;
        };
        storage = {
          storage_path = "/var/lib/qdrant/storage";
          snapshots_path = "/var/lib/qdrant/snapshots";
          on_disk_payload = true;
        };
        telemetry_disabled = true;
      };
    };
    systemd.services.qdrant = {
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      serviceConfig = lib.mkMerge [
        (lib.mapAttrs (_: lib.mkDefault) (
          hardening.base // hardening.relax.fleetNetwork [ fleet.fleet.network.range ]
        ))
        {
          ExecStart = lib.mkForce "${lib.getExe start} ${settings}";
          LoadCredential = [ "vectors-api-key:${fleet.secrets.vectors-api-key.path}" ];
          MemoryMax = "1G";
          Restart = lib.mkForce "always";
        }
      ];
    };

    networking.firewall.interfaces.${fleet.fleet.network.interface}.allowedTCPPorts = [
      6333
      6334
    ];
  };
}
