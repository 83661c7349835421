# Metrics, logs and traces. Every node has exporters and an Alloy that sends its journal to Loki;
# the monitoring node has Prometheus with its rules, Alertmanager, Grafana and Tempo. Grafana
# listens on the loopback interface only: ssh -L 3000:127.0.0.1:3000 MASTER.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  fleet = config.quizmentor;
  inherit (fleet) self;
  inherit (fleet.fleet.network) interface range;
  hardening = import ../lib/hardening.nix;
  fleetOnly = hardening.base // hardening.relax.fleetNetwork [ range ];
  # What nixpkgs leaves out of a unit's sandbox.
  fill = lib.mapAttrs (_: lib.mkDefault);

  ports = {
    alloy = 12345;
    haproxy = 8405;
    node = 9100;
    postgres = 9187;
    redis = 9121;
  };
  redisAddress = "redis://${self.privateAddress}:6379";
  small = lib.length (lib.attrNames fleet.fleet.nodes) < 3;

  # All addresses of a role's nodes at a port, with the node's name as label.
  scrape = job: nodes: port: {
    job_name = job;
    static_configs = lib.mapAttrsToList (name: node: {
      targets = [ "${node.privateAddress}:${toString port}" ];
      labels.node = name;
    }) nodes;
  };
  instances = lib.concatMap (member: lib.optional (!lib.hasSuffix "-pods" member.name) member) (
    config.services.quizmentor.frontDoor.members
  );
  lokiSettings = (pkgs.formats.json { }).generate "loki-settings.json" (
    import ../monitoring/loki.nix { address = self.privateAddress; }
  );
  dashboards = import ../monitoring/dashboards.nix { inherit lib; };
in
{
  config = lib.mkMerge [
    {
      # Every node.
      quizmentor.state.alloy.expendable = "a position in the journal";
      services.prometheus.exporters.node = {
        enable = true;
        listenAddress = self.privateAddress;
        port = ports.node;
        enabledCollectors = [
          "pressure"
          "systemd"
        ];
        extraFlags = [ "--collector.textfile.directory=/var/lib/quizmentor-metrics" ];
      };
      systemd.services.prometheus-node-exporter = {
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
        serviceConfig = {
          MemoryMax = "64M";
          PrivateUsers = lib.mkDefault true;
        };
      };
      # Metrics that other units leave as files.
      users.groups.quizmentor-metrics = { };
      systemd.tmpfiles.rules = [ "d /var/lib/quizmentor-metrics 0775 root quizmentor-metrics -" ];

      services.alloy = {
        enable = true;
        extraFlags = [
          "--disable-reporting"
          "--server.http.listen-addr=${self.privateAddress}:${toString ports.alloy}"
        ];
      };
      environment.etc."alloy/config.alloy".text = import ../monitoring/alloy.nix {
        inherit (fleet) node;
        logs = fleet.addressOf "logs";
        traces = fleet.addressOf "monitoring";
        address = "127.0.0.1";
      };
      systemd.services.alloy.serviceConfig = fill fleetOnly // {
        MemoryMax = "192M";
      };
      services.quizmentor.settings.traces.url = "http://127.0.0.1:4317";

      services.haproxy.config = lib.mkIf (fleet.hasRole "balancer") (
        lib.mkAfter ''
          frontend metrics
            mode http
            bind ${self.privateAddress}:${toString ports.haproxy}
            http-request use-service prometheus-exporter if { path /metrics }
        ''
      );
      networking.firewall.interfaces.${interface}.allowedTCPPorts = lib.attrValues ports;
    }

    (lib.mkIf config.services.postgresql.enable {
      services.prometheus.exporters.postgres = {
        enable = true;
        listenAddress = self.privateAddress;
        port = ports.postgres;
        user = "postgres-exporter";
        group = "postgres-exporter";
        dataSourceName = "user=postgres-exporter database=postgres host=/run/postgresql sslmode=disable";
      };
      services.postgresql.ensureUsers = [ { name = "postgres-exporter"; } ];
      users.users.postgres-exporter = {
        isSystemUser = true;
        group = "postgres-exporter";
      };
      users.groups.postgres-exporter = { };
      systemd.services.prometheus-postgres-exporter.serviceConfig.MemoryMax = "64M";
    })
    (lib.mkIf (fleet.hasRole "cache") {
      services.prometheus.exporters.redis = {
        enable = true;
        listenAddress = self.privateAddress;
        port = ports.redis;
        extraFlags = [
          "-redis.addr=${redisAddress}"
          "-redis.password-file=/run/prometheus-redis-exporter/passwords.json"
        ];
      };
      quizmentor.secrets.cache-password.restartUnits = [ "prometheus-redis-exporter.service" ];
      systemd.services.prometheus-redis-exporter = {
        # The exporter wants passwords by address.
        preStart = ''
          ${lib.getExe pkgs.jq} --null-input --rawfile password "$CREDENTIALS_DIRECTORY/cache-password" \
            '{ "${redisAddress}": $password | rtrimstr("\n") }' > "$RUNTIME_DIRECTORY/passwords.json"
        '';
        serviceConfig = {
          LoadCredential = [ "cache-password:${fleet.secrets.cache-password.path}" ];
          RuntimeDirectory = "prometheus-redis-exporter";
          RuntimeDirectoryMode = "0700";
          MemoryMax = "64M";
        };
      };
    })

    (lib.mkIf (fleet.hasRole "logs") {
      quizmentor.state.loki.expendable = "logs of the last month; the journals of the nodes hold them too";
      services.loki = {
        enable = true;
        configFile = pkgs.runCommand "loki.json" { nativeBuildInputs = [ pkgs.grafana-loki ]; } ''
          loki -verify-config -config.file=${lokiSettings}
          ln -s ${lokiSettings} $out
        '';
      };
      systemd.services.loki.serviceConfig = fill (removeAttrs fleetOnly [ "PrivateUsers" ]) // {
        MemoryMax = "384M";
        ReadWritePaths = [ "/var/lib/loki" ];
        StateDirectory = "loki";
      };
      networking.firewall.interfaces.${interface}.allowedTCPPorts = [ 3100 ];
    })

    (lib.mkIf (fleet.hasRole "monitoring") {
      quizmentor.secrets = {
        "grafana/admin-password" = {
          owner = "grafana";
          restartUnits = [ "grafana.service" ];
        };
        "grafana/secret-key" = {
          owner = "grafana";
          restartUnits = [ "grafana.service" ];
        };
        smtp-password.restartUnits = [ "alertmanager.service" ];
      };
      quizmentor.state = {
        prometheus.expendable = "metrics of the last month";
        alertmanager.expendable = "silences";
        tempo.expendable = "traces of the last days";
        grafana.backedUpBy = [ "quizmentor-grafana-snapshot" ];
      };

      services.prometheus = {
        enable = true;
        listenAddress = "127.0.0.1";
        retentionTime = "30d";
        extraFlags = [ "--storage.tsdb.retention.size=12GB" ];
        checkConfig = true;
        globalConfig = {
          scrape_interval = "15s";
          evaluation_interval = "15s";
          external_labels.fleet = fleet.fleet.name;
        };
        ruleFiles = [ ../monitoring/rules.yml ];
        alertmanagers = [ { static_configs = [ { targets = [ "127.0.0.1:9093" ]; } ]; } ];
        scrapeConfigs = [
          (scrape "node" fleet.fleet.nodes ports.node)
          (scrape "alloy" fleet.fleet.nodes ports.alloy)
          (scrape "haproxy" (fleet.nodesWith "balancer") ports.haproxy)
          (scrape "postgres" (fleet.nodesWith "records" // fleet.nodesWith "records-standby") ports.postgres)
          (scrape "redis" (fleet.nodesWith "cache") ports.redis)
          (scrape "loki" (fleet.nodesWith "logs") 3100)
          {
            job_name = "quizmentor";
            static_configs = map (member: {
              targets = [ "${member.address}:${toString member.port}" ];
              labels.instance_name = member.name;
            }) instances;
          }
        ];
        alertmanager = {
          enable = true;
          listenAddress = "127.0.0.1";
          extraFlags = [ "--cluster.listen-address=" ];
          configuration = {
            global = {
              smtp_smarthost = "smtp.resend.com:587";
              smtp_from = "alerts@${fleet.fleet.domain}";
              smtp_auth_username = "resend";
              smtp_auth_password_file = "/run/credentials/alertmanager.service/smtp-password";
            };
            route = {
              receiver = "operators";
              group_by = [
                "alertname"
                "node"
              ];
              group_wait = "30s";
              repeat_interval = "12h";
              routes = [
                {
                  matchers = [ "severity=\"page\"" ];
                  receiver = "operators";
                  repeat_interval = "1h";
                }
              ];
            };
            receivers = [
              {
                name = "operators";
                email_configs = [
                  {
                    to = "operators@${fleet.fleet.domain}";
                    send_resolved = true;
                  }
                ];
              }
            ];
          };
        };
      };
      systemd.services.prometheus.serviceConfig.MemoryMax = if small then "640M" else "1G";
      systemd.services.alertmanager.serviceConfig = {
        LoadCredential = [ "smtp-password:${fleet.secrets.smtp-password.path}" ];
        MemoryMax = "128M";
      };

      services.grafana = {
        enable = true;
        settings = {
          server = {
            http_addr = "127.0.0.1";
            http_port = 3000;
            root_url = "http://localhost:3000";
          };
          security = {
            admin_user = "operator";
            admin_password = "$__file{${fleet.secrets."grafana/admin-password".path}}";
            secret_key = "$__file{${fleet.secrets."grafana/secret-key".path}}";
          };
          analytics = {
            reporting_enabled = false;
            check_for_updates = false;
            check_for_plugin_updates = false;
          };
          users.allow_sign_up = false;
        };
        provision = {
          enable = true;
          datasources.settings.datasources = [
            {
              name = "Prometheus";
              uid = "prometheus";
              type = "prometheus";
              url = "http://127.0.0.1:9090";
              isDefault = true;
            }
            {
              name = "Loki";
              uid = "loki";
              type = "loki";
              url = "http://${fleet.addressOf "logs"}:3100";
            }
            {
              name = "Tempo";
              uid = "tempo";
              type = "tempo";
              url = "http://127.0.0.1:3200";
            }
          ];
          dashboards.settings.providers = [
            {
              name = "QuizMentor";
              options.path = "/etc/quizmentor/dashboards";
            }
          ];
        };
      };
      environment.etc = lib.mapAttrs' (
        name: dashboard:
        lib.nameValuePair "quizmentor/dashboards/${name}.json" { text = builtins.toJSON dashboard; }
      ) dashboards;
      systemd.services.grafana.serviceConfig.MemoryMax = "384M";

      services.tempo = {
        enable = true;
        settings = import ../monitoring/tempo.nix { address = self.privateAddress; };
      };
      systemd.services.tempo.serviceConfig = fill fleetOnly // {
        MemoryMax = if small then "256M" else "384M";
      };
      networking.firewall.interfaces.${interface}.allowedTCPPorts = [ 4317 ];
    })
  ];
}
