# Feature flags and experiments: Unleash, its state in a database of the records.
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

  start = pkgs.writeShellApplication {
    name = "quizmentor-unleash";
    text = ''
      DATABASE_PASSWORD=$(cat "$CREDENTIALS_DIRECTORY/database")
      INIT_CLIENT_API_TOKENS=$(cat "$CREDENTIALS_DIRECTORY/client-token")
      export DATABASE_PASSWORD INIT_CLIENT_API_TOKENS
      exec ${lib.getExe pkgs.quizmentor.unleash}
    '';
  };
in
{
  config = lib.mkIf (fleet.hasRole "flags") {
    quizmentor.secrets = {
      unleash-password.restartUnits = [ "unleash.service" ];
      unleash-client-token.restartUnits = [ "unleash.service" ];
    };
    quizmentor.state.unleash.expendable = "keeps everything in the records' database unleash";

    systemd.services.unleash = {
      description = "Unleash, feature flags";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [
        "haproxy.service"
        "network-online.target"
      ];
      unitConfig.StartLimitIntervalSec = 0;
      environment = {
        DATABASE_HOST = "127.0.0.1";
        DATABASE_PORT = toString fleet.records.localPort;
        DATABASE_NAME = "unleash";
        DATABASE_USERNAME = "unleash";
        DATABASE_SSL = "false";
        HTTP_HOST = self.privateAddress;
        HTTP_PORT = "4242";
        LOG_LEVEL = "warn";
        CHECK_VERSION = "false";
        SEND_TELEMETRY = "false";
        SCARF_ANALYTICS = "false";
        NODE_OPTIONS = "--max-old-space-size=384";
      };
      serviceConfig =
        hardening.base
        // hardening.relax.fleetNetwork [ fleet.fleet.network.range ]
        // hardening.relax.justInTime
        // {
          ExecStart = lib.getExe start;
          DynamicUser = true;
          LoadCredential = [
            "database:${fleet.secrets.unleash-password.path}"
            "client-token:${fleet.secrets.unleash-client-token.path}"
          ];
          Restart = "always";
          RestartSec = "5s";
          MemoryMax = "640M";
        };
    };

    networking.firewall.interfaces.${fleet.fleet.network.interface}.allowedTCPPorts = [ 4242 ];
  };
}
