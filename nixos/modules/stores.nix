# Where the instances of the binary find their stores: the records through the local HAProxy, the
# cache, the vectors and the flags on their nodes.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  fleet = config.quizmentor;
  on = role: fleet.nodesWith role != { };

  # The command line as operators use it on a machine, with the fleet's stores: quizmentor invite.
  command = pkgs.writeShellApplication {
    name = "quizmentor";
    runtimeEnv = {
      QUIZMENTOR__RECORDS__URL = config.services.quizmentor.settings.records.url;
      QUIZMENTOR__RECORDS__PASSWORD_FILE = fleet.secrets.records-password.path;
      QUIZMENTOR__CACHE__URL = config.services.quizmentor.settings.cache.url;
      QUIZMENTOR__CACHE__PASSWORD_FILE = fleet.secrets.cache-password.path;
      QUIZMENTOR__VECTORS__URL = config.services.quizmentor.settings.vectors.url;
      QUIZMENTOR__VECTORS__API_KEY_FILE = fleet.secrets.vectors-api-key.path;
    }
    // lib.optionalAttrs (on "flags") {
      QUIZMENTOR__FLAGS__URL = config.services.quizmentor.settings.flags.url;
      QUIZMENTOR__FLAGS__TOKEN_FILE = fleet.secrets.unleash-client-token.path;
    };
    text = ''exec ${lib.getExe config.services.quizmentor.package} "$@"'';
  };
in
{
  config = lib.mkIf (fleet.hasRole "balancer") {
    quizmentor.secrets = {
      records-password = { };
      cache-password = { };
      vectors-api-key = { };
    }
    // lib.optionalAttrs (on "flags") {
      unleash-client-token.restartUnits = [ "quizmentor-rollout.service" ];
    };
    quizmentor.state =
      lib.genAttrs
        (lib.concatMap (name: [
          "quizmentor-${name}-blue"
          "quizmentor-${name}-green"
        ]) (lib.attrNames config.services.quizmentor.instances))
        (_: {
          expendable = "everything durable is in the records";
        })
      // {
        quizmentor-rollout.expendable = "which slot serves; without it the next rollout starts anew";
      };
    environment.systemPackages = [ command ];
    services.quizmentor = {
      settings = {
        records = lib.mkIf (on "records") {
          url = "postgres://quizmentor@127.0.0.1:${toString fleet.records.localPort}/quizmentor";
        };
        cache = lib.mkIf (on "cache") { url = "redis://${fleet.addressOf "cache"}:6379"; };
        vectors = lib.mkIf (on "vectors") { url = "http://${fleet.addressOf "vectors"}:6334"; };
        flags = lib.mkIf (on "flags") { url = "http://${fleet.addressOf "flags"}:4242/api"; };
      };
      credentials =
        lib.genAttrs [ "records-password" "cache-password" "vectors-api-key" ] (
          name: fleet.secrets.${name}.path
        )
        // lib.optionalAttrs (on "flags") { flags-token = fleet.secrets.unleash-client-token.path; };
    };
  };
}
