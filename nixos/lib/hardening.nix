# The sandbox of every service of this project, and the relaxations that a service may name.
#
#   serviceConfig = hardening.base // hardening.relax.network;
{
  base = {
    CapabilityBoundingSet = "";
    DevicePolicy = "closed";
    IPAddressDeny = "any";
    KeyringMode = "private";
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateMounts = true;
    PrivateTmp = true;
    PrivateUsers = true;
    ProcSubset = "pid";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RemoveIPC = true;
    RestrictAddressFamilies = [ "AF_UNIX" ];
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
    ];
    UMask = "0077";
  };

  relax = {
    # Must be the machine's own root, with no more than these capabilities.
    root = capabilities: {
      CapabilityBoundingSet = if capabilities == [ ] then "" else capabilities;
      PrivateUsers = false;
    };

    # Looks at the processes of others.
    seesProcesses = {
      ProcSubset = "all";
      ProtectProc = "default";
    };

    # Binds ports below 1024.
    lowPorts = {
      AmbientCapabilities = [ "CAP_NET_BIND_SERVICE" ];
      CapabilityBoundingSet = [ "CAP_NET_BIND_SERVICE" ];
      PrivateUsers = false;
    };

    # Sets its own limits, of open files for one.
    resources.SystemCallFilter = [
      "@system-service"
      "~@privileged"
    ];

    # Speaks to the machine itself and to its fleet's network, and to nobody else.
    fleetNetwork = addresses: {
      IPAddressAllow = [ "localhost" ] ++ addresses;
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
      ];
    };

    # Speaks to outside services too.
    internet = {
      IPAddressDeny = "";
      RestrictAddressFamilies = [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
      ];
    };

    # Compiles code as it runs.
    justInTime.MemoryDenyWriteExecute = false;
  };
}
