# Decrypts the host's secrets at activation with the key of its SSH host key.
{ config, lib, ... }:
let
  inherit (config.quizmentor) fleet node secrets;
  files = ../../secrets + "/${fleet.name}";
in
{
  sops = {
    age.sshKeyPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
    gnupg.sshKeyPaths = [ ];
    secrets = lib.mapAttrs (_: secret: {
      inherit (secret) owner restartUnits path;
      mode = "0400";
      sopsFile = files + (if secret.shared then "/shared.yaml" else "/${node}.yaml");
    }) secrets;
  };
}
