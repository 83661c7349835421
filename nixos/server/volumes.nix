# Network volumes of the fleet that are attached to this node; it boots without them too.
{ config, lib, ... }:
let
  inherit (config.quizmentor) fleet node;
  attached = lib.filterAttrs (_: volume: volume.node == node) fleet.volumes;
in
{
  fileSystems = lib.mapAttrs' (
    _: volume:
    lib.nameValuePair volume.mountPoint {
      inherit (volume) device;
      fsType = "ext4";
      autoFormat = true;
      options = [
        "nofail"
        "x-systemd.device-timeout=30s"
      ];
    }
  ) attached;
}
