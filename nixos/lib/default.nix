# What the flake and the modules share: the fleets, their bills, names of hosts.
{ lib }:
let
  evaluated = lib.evalModules {
    modules = [
      ./fleet.nix
      ../../hosts/fleet.nix
    ];
  };
  billing = import ./bill.nix { inherit lib; };
in
rec {
  inherit (evaluated.config) fleets prices;
  inherit (billing) withinBudget;

  # The production fleet's hosts bear their plain names, those of the others begin with the fleet's.
  hostName = fleet: node: if fleet == "production" then node else "${fleet}-${node}";

  # Per fleet: what it costs a month by line, in dollars, checked against its budget.
  bill = lib.mapAttrs (name: fleet: withinBudget name (billing.bill prices fleet)) fleets;
}
