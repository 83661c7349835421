# What nixos-anywhere boots on a new server to install it: SSH for the administrators, nothing else.
# nix build .#installer gives a kernel, an initrd and a script that starts them by kexec.
{ lib, modulesPath, ... }:
{
  imports = [ "${modulesPath}/installer/netboot/netboot-minimal.nix" ];

  boot.zfs.forceImportRoot = false;
  networking.hostName = "installer";
  system.stateVersion = "26.05";
  users.users.root.openssh.authorizedKeys.keys = lib.concatLists (
    lib.attrValues (import ../../hosts/administrators.nix)
  );
  services.openssh.settings.PasswordAuthentication = lib.mkForce false;
}
