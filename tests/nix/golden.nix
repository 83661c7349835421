# What a host's evaluation says the machine will have: its units and the files in /etc that are
# the appliance's, as text. tests/nix/eval writes them to tests/golden.
{ lib, host }:
let
  inherit (host) config;
in
{
  units = lib.mapAttrs (_: unit: unit.text) config.systemd.units;
}
