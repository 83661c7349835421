# The VM tests: each file is one, a function to what runNixOSTest takes. They need KVM:
# nix build .#checks.x86_64-linux.vm-fleet
{
  lib,
  pkgs,
  fleets,
  module,
}:
let
  common = import ./common.nix {
    inherit
      fleets
      lib
      module
      pkgs
      ;
  };
  names = [
    "fleet"
    "guard"
    "loss"
    "ports"
    "restore"
    "rollout"
    "secrets"
    "upgrade"
  ];
in
lib.genAttrs names (
  name:
  pkgs.testers.runNixOSTest {
    imports = [ (import (./. + "/${name}.nix") common) ];
    name = "quizmentor-${name}";
  }
)
