# The cluster of the burst capacity: K3s servers on the nodes of the control plane, agents on those
# that run pods. One server keeps its state in SQLite, several in embedded etcd.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  fleet = config.quizmentor;
  inherit (fleet) self;
  inherit (fleet.fleet.network) interface range;
  cfg = fleet.cluster;
  hardening = import ../lib/hardening.nix;

  server = fleet.hasRole "control-plane";
  agent = fleet.hasRole "pods" && !server;
  servers = fleet.nodesWith "control-plane";
  etcd = lib.length (lib.attrNames servers) > 1;
  firstServer = lib.head (lib.attrNames servers);

  objects = import ../lib/burst.nix {
    image = "docker.io/library/${pkgs.quizmentor.image.imageName}:${pkgs.quizmentor.image.imageTag}";
    settings = cfg.settings;
    credentials = lib.attrNames credentials;
    nodePort = 30080;
    metricAddress = fleet.addressOf "control-plane";
    inherit metricPort;
  };
  flags = fleet.nodesWith "flags" != { };
  # Secrets of the pods, by the names that the binary knows.
  credentials = {
    cache-password = "cache-password";
    records-password = "records-password";
    token-key = "quizmentor/token-key";
    vectors-api-key = "vectors-api-key";
  }
  // lib.optionalAttrs flags { flags-token = "unleash-client-token"; };
  metricPort = 6450;
  # K3s' own choice of addresses for pods; a node speaks to its own pods from the first of them.
  podRange = "10.42.0.0/16";

  # Secrets come into the cluster by a unit: manifests lie in the store.
  secrets = pkgs.writeShellApplication {
    name = "quizmentor-cluster-secrets";
    runtimeInputs = [ config.services.k3s.package ];
    text = ''
      k3s kubectl create secret generic quizmentor --namespace quizmentor --dry-run=client --output=yaml \
        --from-file="$CREDENTIALS_DIRECTORY" | k3s kubectl apply --server-side --force-conflicts --filename=-
    '';
  };
  loadImage = pkgs.writeShellApplication {
    name = "quizmentor-load-image";
    runtimeInputs = [ config.services.k3s.package ];
    text = "${pkgs.quizmentor.image} | k3s ctr images import -";
  };
  token = if server then "cluster-token" else "cluster-agent-token";
in
{
  options.quizmentor.cluster = {
    podMemory = mkOption {
      type = types.ints.unsigned;
      default = if agent then 384 else 0;
      description = "Memory in MiB that pods of this node may take.";
    };
    settings = mkOption {
      type = types.lines;
      description = "Settings of the pods, as TOML.";
    };
    objects = mkOption {
      type = types.attrsOf types.attrs;
      readOnly = true;
      description = "The Kubernetes objects.";
    };
  };

  config = lib.mkMerge [
    { quizmentor.cluster.objects = objects; }
    {
      quizmentor.cluster.settings = ''
        [server]
        listen = "0.0.0.0:8080"
        roles = ["bloom", "adaptive", "bank", "web"]
        trusted_proxies = ["${range}", "${podRange}"]

        [records]
        url = "postgres://quizmentor@${fleet.addressOf "records"}:5432/quizmentor"

        [cache]
        url = "redis://${fleet.addressOf "cache"}:6379"

        [vectors]
        url = "http://${fleet.addressOf "vectors"}:6334"

        [traces]
        url = "http://${fleet.addressOf "monitoring"}:4317"
      ''
      + lib.optionalString flags ''

        [flags]
        url = "http://${fleet.addressOf "flags"}:4242/api"
      '';
    }

    (lib.mkIf (server || agent) {
      quizmentor.secrets = {
        ${token}.restartUnits = [ "k3s.service" ];
      }
      // lib.optionalAttrs server { cluster-agent-token.restartUnits = [ "k3s.service" ]; };
      quizmentor.memory.reserved.pods = cfg.podMemory;
      quizmentor.unhardened.k3s = "runs containers: it mounts, makes namespaces and writes cgroups";
      quizmentor.state.k3s =
        if server then
          { backedUpBy = [ "quizmentor-cluster-snapshot" ]; }
        else
          { expendable = "an agent learns everything from the servers"; };

      services.k3s = {
        enable = true;
        role = if server then "server" else "agent";
        nodeName = fleet.node;
        nodeIP = self.privateAddress;
        tokenFile = fleet.secrets.${token}.path;
        agentTokenFile = lib.mkIf server fleet.secrets.cluster-agent-token.path;
        clusterInit = server && etcd && fleet.node == firstServer;
        serverAddr =
          lib.mkIf (agent || fleet.node != firstServer)
            "https://${servers.${firstServer}.privateAddress}:6443";
        images = [ config.services.k3s.package.airgap-images ];
        disable = lib.mkIf server [
          "local-storage"
          "servicelb"
          "traefik"
        ];
        extraFlags = [
          "--flannel-iface=${interface}"
          "--kubelet-arg=eviction-hard=memory.available<100Mi,nodefs.available<5%"
          "--kubelet-arg=system-reserved=memory=${toString (self.server.memory - cfg.podMemory - 256)}Mi"
        ]
        ++ lib.optionals server [
          "--node-taint=node-role.kubernetes.io/control-plane=true:NoSchedule"
          "--secrets-encryption"
          "--tls-san=${self.privateAddress}"
          "--write-kubeconfig-mode=0600"
        ]
        ++ lib.optionals (server && etcd) [
          "--etcd-snapshot-schedule-cron=0 */6 * * *"
          "--etcd-snapshot-retention=8"
          "--etcd-expose-metrics=true"
        ];
        gracefulNodeShutdown.enable = true;
        manifests = lib.mkIf (server && fleet.node == firstServer) (
          lib.mapAttrs' (name: content: lib.nameValuePair "quizmentor-${name}" { inherit content; }) objects
        );
      };

      systemd.services.k3s.serviceConfig = {
        MemoryMax = if server then "1536M" else "384M";
        # Shims of containers must not hold up a shutdown.
        TimeoutStopSec = "45s";
      };

      systemd.services.quizmentor-cluster-secrets = lib.mkIf (server && fleet.node == firstServer) {
        description = "Secrets of the burst pods";
        wantedBy = [ "multi-user.target" ];
        after = [ "k3s.service" ];
        bindsTo = [ "k3s.service" ];
        serviceConfig =
          hardening.base
          // hardening.relax.fleetNetwork [ ]
          // {
            Type = "oneshot";
            RemainAfterExit = true;
            ExecStart = lib.getExe secrets;
            LoadCredential = lib.mapAttrsToList (
              name: secret: "${name}:${fleet.secrets.${secret}.path}"
            ) credentials;
            Restart = "on-failure";
            RestartSec = "10s";
            MemoryMax = "128M";
          };
      };
      systemd.services.quizmentor-queue-metric = lib.mkIf (server && fleet.node == firstServer) {
        description = "Queue depth for the autoscaler";
        wantedBy = [ "multi-user.target" ];
        after = [ "k3s.service" ];
        bindsTo = [ "k3s.service" ];
        serviceConfig =
          hardening.base
          // hardening.relax.fleetNetwork [ range ]
          // {
            # A certificate of its own for each start: the API server does not look at it.
            ExecStartPre = "${lib.getExe pkgs.openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=quizmentor-metrics -keyout \${RUNTIME_DIRECTORY}/key -out \${RUNTIME_DIRECTORY}/certificate";
            ExecStart = "${lib.getExe pkgs.python3} ${../cluster/queue-metric.py} ${self.privateAddress} ${toString metricPort} http://127.0.0.1:9090 \${RUNTIME_DIRECTORY}/certificate \${RUNTIME_DIRECTORY}/key \${CREDENTIALS_DIRECTORY}/authority";
            DynamicUser = true;
            RuntimeDirectory = "quizmentor-queue-metric";
            LoadCredential = [
              "authority:/var/lib/rancher/k3s/server/tls/request-header-ca.crt"
            ];
            Restart = "always";
            RestartSec = "5s";
            MemoryMax = "64M";
          };
      };
      systemd.services.quizmentor-load-image = lib.mkIf agent {
        description = "Image of the burst pods";
        wantedBy = [ "multi-user.target" ];
        after = [ "k3s.service" ];
        bindsTo = [ "k3s.service" ];
        serviceConfig = hardening.base // {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = lib.getExe loadImage;
          Restart = "on-failure";
          RestartSec = "10s";
          MemoryMax = "96M";
        };
      };

      networking.firewall = {
        trustedInterfaces = [
          "cni0"
          "flannel.1"
        ];
        interfaces.${interface} = {
          allowedTCPPorts = [
            10250
            30080
          ]
          ++ lib.optionals server [ 6443 ]
          ++ lib.optionals (server && etcd) [
            2379
            2380
          ];
          allowedUDPPorts = [ 8472 ];
        };
      };
    })
    (lib.mkIf ((fleet.hasRole "records" || fleet.hasRole "records-standby") && servers != { }) {
      # A pod reaches the server of its own node by its own address. Forced, as the other rules are.
      services.postgresql.authentication = lib.mkForce (
        lib.mkAfter ''
          host  quizmentor  quizmentor  ${podRange}  scram-sha-256
        ''
      );
    })
  ];
}
