# The monthly bill of a fleet in US dollars, derived from its description.
{ lib }:
let
  inherit (lib) foldl' mapAttrsToList nameValuePair;
  sum = foldl' builtins.add 0;
  cents = dollars: builtins.floor (dollars * 100 + 0.5) / 100.0;
in
{
  # bill prices fleet -> { lines = { <what> = dollars; }; total; budget; }
  bill =
    prices: fleet:
    let
      inDollars = euros: cents (euros * prices.dollarsPerEuro);
      nodes = lib.mapAttrs' (
        name: node: nameValuePair "server ${name} (${node.type})" (inDollars node.server.price)
      ) fleet.nodes;
      addresses = lib.optionalAttrs (fleet.nodes != { }) {
        "public addresses" = inDollars (
          prices.address * lib.count (node: node.publicAddress != null) (lib.attrValues fleet.nodes)
        );
      };
      volumes = lib.mapAttrs' (
        name: volume:
        nameValuePair "volume ${name} (${toString volume.size} GB)" (
          inDollars (prices.volumeGB * volume.size)
        )
      ) fleet.volumes;
      balancer = lib.optionalAttrs (fleet.loadBalancer != null) {
        "load balancer (${fleet.loadBalancer.type})" =
          inDollars
            prices.loadBalancers.${fleet.loadBalancer.type};
      };
      floating = lib.optionalAttrs (fleet.floatingAddress != null) {
        "floating address" = inDollars prices.floatingAddress;
      };
      managed = lib.mapAttrs' (name: nameValuePair "managed ${name}") fleet.managed;
      lines = nodes // addresses // volumes // balancer // floating // managed;
    in
    {
      inherit lines;
      inherit (fleet) budget;
      total = cents (sum (mapAttrsToList (_: price: price) lines));
    };

  # The bill itself, or an error that names the fleet, its total and its budget.
  withinBudget =
    name: bill:
    lib.throwIf (bill.total > bill.budget)
      "The fleet ${name} costs ${toString bill.total} USD a month, more than its budget of ${toString bill.budget} USD. Take smaller servers, fewer services, or raise `budget` in hosts/fleet.nix."
      bill;
}
