# What is kept, and by which backup: every unit with a state directory stands here, or evaluation
# fails (limits.nix).
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.quizmentor.state = mkOption {
    default = { };
    description = "State by the unit that owns it.";
    type = types.attrsOf (
      types.submodule {
        options = {
          backedUpBy = mkOption {
            type = types.listOf types.str;
            default = [ ];
            description = "Units with a timer that make the backup.";
          };
          expendable = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Why the state may be lost instead.";
          };
        };
      }
    );
  };
}
