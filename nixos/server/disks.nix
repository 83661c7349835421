# One disk with a BIOS boot partition, /boot and /; volumes are mounted when they are there.
{ config, lib, ... }:
let
  inherit (config.quizmentor) fleet node;
  attached = lib.filterAttrs (_: volume: volume.node == node) fleet.volumes;
in
{
  disko.devices.disk.main = {
    device = "/dev/sda";
    type = "disk";
    content = {
      type = "gpt";
      partitions = {
        bios = {
          size = "1M";
          type = "EF02";
        };
        boot = {
          size = "1G";
          type = "EF00";
          content = {
            type = "filesystem";
            format = "vfat";
            mountpoint = "/boot";
            mountOptions = [ "umask=0077" ];
          };
        };
        root = {
          size = "100%";
          content = {
            type = "filesystem";
            format = "ext4";
            mountpoint = "/";
          };
        };
      };
    };
  };

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
