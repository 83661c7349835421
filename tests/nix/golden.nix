# What a host's evaluation says the machine will have: its own units and files, each with the
# derivations that it names, as tests/nix/eval reads them.
{ lib, host }:
let
  inherit (host) config;

  # A text, and the derivations behind the store paths in it.
  withContext = text: {
    text = builtins.unsafeDiscardStringContext text;
    derivations = lib.attrNames (builtins.getContext text);
  };
  # A file that a derivation makes.
  made = source: {
    file = builtins.unsafeDiscardStringContext "${source}";
    derivations = lib.attrNames (builtins.getContext "${source}");
  };

  isOwn =
    name:
    lib.any (prefix: lib.hasPrefix prefix name) [
      "alloy/"
      "haproxy.cfg"
      "quizmentor/"
    ];
  etc = lib.filterAttrs (name: file: file.enable && isOwn name) config.environment.etc;
in
{
  units = lib.genAttrs config.quizmentor.ownUnits (
    name: withContext config.systemd.units.${name}.text
  );
  etc = lib.mapAttrs (
    _: file: if file.text != null then withContext file.text else made file.source
  ) etc;
  settings = lib.mapAttrs (_: instance: instance.finalSettings) config.services.quizmentor.instances;
  kubernetes = lib.optionalAttrs config.services.k3s.enable config.quizmentor.cluster.objects;
  memory = config.quizmentor.memory.claims;
}
