# Every module of the appliance: the files of this folder.
let
  isModule = name: name != "default.nix" && builtins.match ".*\\.nix" name != null;
in
{
  imports = map (name: ./. + "/${name}") (
    builtins.filter isModule (builtins.attrNames (builtins.readDir ./.))
  );
}
