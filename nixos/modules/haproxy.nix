# The front door: each machine's HAProxy takes requests from the balancer, finds the role that
# serves the path, and hands them to the instances of that role, wherever in the fleet they run.
#
# Two steps keep the knowledge local. The public frontend knows the fleet's members by address; an
# instance's own frontend, on the machine that runs it, knows which of its two slots serves, from
# the map that the rollout keeps. A rollout is thus a matter of one machine.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.quizmentor;
  door = cfg.frontDoor;
  hardening = import ../lib/hardening.nix;

  roles = [
    "adaptive"
    "bank"
    "bloom"
    "web"
  ];

  learnersRoles = [
    "adaptive"
    "bank"
    "web"
  ];

  # Path prefixes and the role that serves them; anything else is the web role's.
  routes = ../rollout/routes.map;
  slotMap = "/var/lib/quizmentor-rollout/slots.map";

  memberModule = {
    options = {
      name = mkOption {
        type = types.strMatching "[a-z0-9-]+";
        description = "Name in statistics and logs.";
      };
      address = mkOption {
        type = types.str;
        description = "Address in the fleet's private network.";
      };
      port = mkOption {
        type = types.port;
        description = "Port of the instance, or of the pods' service on that node.";
      };
      roles = mkOption {
        type = types.listOf types.str;
        description = "What it serves.";
      };
      weight = mkOption {
        type = types.ints.between 1 256;
        default = 100;
        description = "Share of the requests; pods get less than units, so that units fill first.";
      };
      backup = mkOption {
        type = types.bool;
        default = false;
        description = "Whether it gets requests only when no other member of its role is there.";
      };
    };
  };

  member =
    m:
    "  server ${m.name} ${m.address}:${toString m.port} weight ${toString m.weight}"
    + lib.optionalString m.backup " backup";

  roleBackend = role: ''
    backend role-${role}
      balance leastconn
      option httpchk GET /readyz
      # What was not sent may be sent elsewhere. What was, only if asking twice changes nothing.
      http-request disable-l7-retry unless { method GET HEAD OPTIONS }
      retry-on conn-failure empty-response 503
      option redispatch 1
      option allbackups
      # A busy member answers late; one that is gone does not take connections.
      timeout check 3s
      default-server check inter 1s fastinter 250ms downinter 1s fall 2 rise 1
    ${lib.concatMapStringsSep "\n" member (lib.filter (m: lib.elem role m.roles) door.members)}
  '';

  slotBackend = name: colour: port: ''
    backend ${name}-${colour}
      server ${colour} 127.0.0.1:${toString port}
  '';

  instance = name: i: ''
    frontend ${name}
      bind ${cfg.address}:${toString i.port}
      http-request set-log-level silent if { path /readyz }
      use_backend %[str(${name}),map_str(${slotMap})]
      default_backend nowhere

    ${lib.concatStringsSep "\n" (lib.mapAttrsToList (slotBackend name) i.slotPorts)}
  '';

  problem =
    status: title:
    "  http-error status ${toString status} content-type application/problem+json "
    + lib.optionalString (status >= 502) "hdr retry-after 1 "
    + "string '${
      builtins.toJSON {
        type = "about:blank";
        inherit title status;
      }
    }'";

  # Whom the balancer saw was the edge; the edge tells of the learner.
  fromEdge = lib.concatMapStringsSep "\n" (line: "  ${line}") [
    "acl edge src ${lib.concatStringsSep " " door.edges}"
    "http-request set-src hdr_ip(cf-connecting-ip) if edge { req.hdr(cf-connecting-ip) -m found }"
  ];
in
{
  options.services.quizmentor.frontDoor = {
    bind = mkOption {
      type = types.nonEmptyListOf types.str;
      default = [ "127.0.0.1:8080" ];
      description = "Where requests from the balancer come in.";
    };
    balancers = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Addresses whose X-Forwarded-For tells the client's address.";
    };
    edges = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Networks of the edge, whose CF-Connecting-IP tells the client's address.";
    };
    members = mkOption {
      type = types.listOf (types.submodule memberModule);
      default = [ ];
      description = "Everything in the fleet that serves a role.";
    };
  };

  config = lib.mkIf cfg.enable {
    services.haproxy = {
      enable = true;
      config = ''
          log /dev/log local0 info
          stats socket /run/haproxy/admin.sock mode 600 level admin
          # After a reload the old process ends by then, whatever its connections do.
          hard-stop-after 20s

        defaults
          mode http
          log global
          option httplog
          option dontlog-normal
          option idle-close-on-response
          timeout connect 2s
          timeout client 70s
          timeout server 70s
          timeout queue 5s
          timeout http-request 10s
          timeout http-keep-alive 65s
          retries 2
        ${problem 404 "Not Found"}
        ${problem 502 "Bad Gateway"}
        ${problem 503 "Service Unavailable"}
        ${problem 504 "Gateway Timeout"}

        frontend public
        ${lib.concatMapStringsSep "\n" (address: "  bind ${address}") door.bind}
          # The rollout's way in, to a slot that nobody else reaches yet.
          bind unix@/run/haproxy/smoke.sock mode 600 id 1000
          acl smoke so_id 1000
          http-request set-log-level silent if { path /readyz }
          acl balancer src ${lib.concatStringsSep " " ([ "127.0.0.1" ] ++ door.balancers)}
          # Ready when there is somebody for all that a learner asks for.
        ${lib.concatMapStringsSep "\n" (
          role:
          "  http-request return status 503 default-errorfiles if { path /readyz } { nbsrv(role-${role}) eq 0 } !smoke"
        ) learnersRoles}
          http-request return status 200 content-type text/plain string ready if { path /readyz } !smoke
          http-request return status 404 default-errorfiles if { path /metrics /livez } !smoke
          http-request set-src hdr_ip(x-forwarded-for,-1) if balancer { req.hdr(x-forwarded-for) -m found }
        ${lib.optionalString (door.edges != [ ]) fromEdge}
          http-request set-header x-forwarded-for %[src] if !smoke
          use_backend %[req.hdr(x-quizmentor-slot)] if smoke { req.hdr(x-quizmentor-slot) -m found }
          use_backend role-%[path,map_beg(${routes},web)]

        ${lib.concatMapStringsSep "\n" roleBackend roles}
        ${lib.concatStringsSep "\n" (lib.mapAttrsToList instance cfg.instances)}
        backend nowhere
          http-request return status 503 default-errorfiles
      '';
    };

    systemd.services.haproxy = {
      # It binds addresses of the private network.
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      reloadTriggers = [ config.environment.etc."haproxy.cfg".source ];
      serviceConfig = lib.mapAttrs (_: lib.mkForce) (
        hardening.base
        // hardening.relax.internet
        // hardening.relax.lowPorts
        // hardening.relax.resources
        // {
          # From this HAProxy reckons how many connections it may hold.
          LimitNOFILE = 65536;
          MemoryMax = "512M";
          TasksMax = 64;
        }
      );
    };
  };
}
