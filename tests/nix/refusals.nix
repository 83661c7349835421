# What evaluation must refuse: hosts of the production fleet, each with one mistake. Gives the cases
# that were let through, so an empty list is right.
{
  lib,
  host,
  withinBudget,
}:
let
  service = serviceConfig: {
    systemd.services.extra.serviceConfig = {
      ExecStart = "/bin/true";
    }
    // serviceConfig;
  };
  cases = {
    "more memory than there is" = {
      module.systemd.services.qdrant.serviceConfig.MemoryMax = lib.mkForce "6G";
      says = "more than 90 % of the 8192 MiB";
    };
    "a unit without a memory limit" = {
      module = service { };
      says = "have no MemoryMax, and quizmentor.unlimited names no reason: extra";
    };
    "a unit without a sandbox" = {
      module = service { MemoryMax = "1M"; };
      says = "lack a sandbox, and quizmentor.unhardened names no reason: extra (";
    };
    "state that nobody knows of" = {
      module = service { StateDirectory = "extra"; };
      says = "keep state of which quizmentor.state says nothing: extra";
    };
    "state without a backup" = {
      module.quizmentor.state.qdrant.backedUpBy = lib.mkForce [ ];
      says = "no backup that exists and has a timer: qdrant";
    };
    "a port open to the world" = {
      module.networking.firewall.allowedTCPPorts = [ 5432 ];
      says = "not among openPorts of the fleet: 5432";
    };
    "a port range open to the world" = {
      module.networking.firewall.allowedTCPPortRanges = [
        {
          from = 1;
          to = 9;
        }
      ];
      says = "opens UDP ports or port ranges to the world";
    };
    "no firewall" = {
      module.networking.firewall.enable = lib.mkForce false;
      says = "the firewall is off";
    };
  };

  refused =
    _: case:
    let
      inherit (host.extendModules { modules = [ case.module ]; }) config;
      messages = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
    in
    lib.any (lib.hasInfix case.says) messages;

  overBudget = builtins.tryEval (
    withinBudget "test" {
      lines = { };
      budget = 5;
      total = 5.01;
    }
  );
in
lib.attrNames (lib.filterAttrs (name: case: !refused name case) cases)
++ lib.optional overBudget.success "a bill over the budget"
