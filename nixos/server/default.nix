# A virtual server of the provider: addresses, volumes, secrets. How it boots and from which disk is
# in boot.nix and disks.nix, which disk images do without.
{
  imports = [
    ./network.nix
    ./secrets.nix
    ./volumes.nix
  ];
}
