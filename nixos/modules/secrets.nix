# The secrets a host needs, by name. Modules ask for them here and read them by path; on servers
# nixos/server/secrets.nix decrypts them with sops, in tests plain files stand in.
{ lib, ... }:
let
  inherit (lib) mkOption types;

  secret = types.submodule (
    { name, ... }:
    {
      options = {
        path = mkOption {
          type = types.str;
          default = "/run/secrets/${name}";
          description = "File that holds the secret.";
        };
        owner = mkOption {
          type = types.str;
          default = "root";
          description = "User who may read the file. Units take it as a credential instead where they can.";
        };
        restartUnits = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Units that are restarted when the secret changes.";
        };
      };
    }
  );
in
{
  options.quizmentor.secrets = mkOption {
    type = types.attrsOf secret;
    default = { };
    description = "Secrets that this host's units read.";
  };
}
