# A virtual server of the provider: disk layout, boot loader, addresses, secrets.
{
  imports = [
    ./boot.nix
    ./disks.nix
    ./network.nix
    ./secrets.nix
  ];
}
