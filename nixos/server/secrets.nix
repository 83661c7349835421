# Decrypts the host's secrets at activation with the host's SSH key. Each host has a file of its
# own, which holds what it needs and nothing else; secrets/generate writes them.
{ config, lib, ... }:
let
  inherit (config.quizmentor) fleet node secrets;
in
{
  sops = {
    defaultSopsFile = ../../secrets + "/${fleet.name}/${node}.yaml";
    age.sshKeyPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
    gnupg.sshKeyPaths = [ ];
    secrets = lib.mapAttrs (_: secret: {
      inherit (secret) owner restartUnits path;
      mode = "0400";
    }) secrets;
  };
}
