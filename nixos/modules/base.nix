# What every host has whatever it does: SSH by key, firewall, time, journal, a switch that checks
# first that it is on the right machine and that /boot has room.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkDefault mkOption types;
  cfg = config.quizmentor;
in
{
  options.quizmentor.administrators = mkOption {
    type = types.attrsOf (types.listOf types.singleLineStr);
    default = import ../../hosts/administrators.nix;
    description = "People who may sign in and become root, with their SSH public keys.";
  };

  config = {
    system.stateVersion = "26.05";
    time.timeZone = "UTC";
    i18n.defaultLocale = "C.UTF-8";
    documentation.enable = mkDefault false;
    boot.tmp.cleanOnBoot = true;
    # A hanging unit must not keep a machine from going down.
    systemd.settings.Manager = {
      DefaultTimeoutStopSec = "30s";
      RuntimeWatchdogSec = "30s";
    };
    zramSwap = {
      enable = true;
      memoryPercent = 25;
    };

    users.mutableUsers = false;
    users.users = lib.mapAttrs (_: keys: {
      isNormalUser = true;
      extraGroups = [ "wheel" ];
      openssh.authorizedKeys = { inherit keys; };
    }) cfg.administrators;
    security.sudo.wheelNeedsPassword = false;
    services.openssh = {
      enable = true;
      openFirewall = false;
      settings = {
        PasswordAuthentication = false;
        KbdInteractiveAuthentication = false;
        PermitRootLogin = "no";
        AllowGroups = [ "wheel" ];
      };
      hostKeys = [
        {
          path = "/etc/ssh/ssh_host_ed25519_key";
          type = "ed25519";
        }
      ];
    };

    services.journald.extraConfig = ''
      SystemMaxUse=1G
      SystemKeepFree=2G
      MaxRetentionSec=1month
      RateLimitIntervalSec=30s
      RateLimitBurst=20000
    '';

    networking.nftables.enable = true;
    networking.firewall = {
      enable = true;
      allowedTCPPorts = lib.attrValues cfg.fleet.openPorts;
      logRefusedConnections = false;
    };

    nix = {
      settings = {
        experimental-features = [
          "nix-command"
          "flakes"
        ];
        trusted-users = [ "@wheel" ];
        min-free = 2 * 1024 * 1024 * 1024;
        max-free = 6 * 1024 * 1024 * 1024;
      };
      gc = {
        automatic = true;
        dates = "weekly";
        options = "--delete-older-than 30d";
      };
      channel.enable = false;
    };

    system.preSwitchChecks = {
      rightMachine = ''
        wanted=$(cat "$1/etc/hostname")
        if [ "$wanted" != "$(cat /proc/sys/kernel/hostname)" ] && [ "''${QUIZMENTOR_RENAME-}" != "$wanted" ]; then
          echo "This machine is $(cat /proc/sys/kernel/hostname), the configuration is that of $wanted." >&2
          echo "If it shall become $wanted, say so: QUIZMENTOR_RENAME=$wanted" >&2
          exit 1
        fi
      '';
      roomInBoot = ''
        if [ "$2" != test ] && [ -d /boot ]; then
          free=$(${pkgs.coreutils}/bin/df --output=avail --block-size=1M /boot | ${pkgs.coreutils}/bin/tail -n 1)
          if [ "$free" -lt 100 ]; then
            echo "/boot has $free MiB left; 100 are needed for another kernel and its initrd." >&2
            echo "Remove old generations: nix-collect-garbage --delete-older-than 7d, then switch to the running one." >&2
            exit 1
          fi
        fi
      '';
    };
  };
}
