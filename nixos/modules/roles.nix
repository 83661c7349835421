# What each role of a node turns on.
{ config, lib, ... }:
let
  inherit (config.quizmentor) hasRole;
in
{
  config = lib.mkMerge [
    (lib.mkIf (hasRole "records") { })
  ];
}
