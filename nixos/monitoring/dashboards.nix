# Grafana's dashboards: a title and panels, each an expression of Prometheus with its unit.
{ lib }:
let
  panel =
    index:
    {
      title,
      expr,
      unit ? "short",
      legend ? "{{node}}",
    }:
    {
      inherit title;
      id = index + 1;
      type = "timeseries";
      datasource = {
        type = "prometheus";
        uid = "prometheus";
      };
      gridPos = {
        h = 8;
        w = 12;
        x = lib.mod index 2 * 12;
        y = index / 2 * 8;
      };
      fieldConfig.defaults = {
        inherit unit;
        min = 0;
      };
      targets = [
        {
          inherit expr;
          legendFormat = legend;
          refId = "A";
        }
      ];
    };

  dashboard = uid: title: panels: {
    inherit uid title;
    editable = false;
    schemaVersion = 39;
    refresh = "30s";
    time = {
      from = "now-6h";
      to = "now";
    };
    panels = lib.imap0 panel panels;
  };
in
{
  service = dashboard "service" "Service" [
    {
      title = "Requests";
      expr = "sum by (instance_name) (rate(http_request_duration_seconds_count[5m]))";
      unit = "reqps";
      legend = "{{instance_name}}";
    }
    {
      title = "Time to answer, 99th percentile";
      expr = "quizmentor:request_seconds:p99";
      unit = "s";
      legend = "{{instance_name}}";
    }
    {
      title = "Failed requests";
      expr = "quizmentor:failures:ratio";
      unit = "percentunit";
      legend = "{{instance_name}}";
    }
    {
      title = "Answers";
      expr = "sum(rate(quizmentor_answers_total[5m]))";
      unit = "ops";
      legend = "answers";
    }
    {
      title = "Requests that wait at the front door";
      expr = "sum by (node) (haproxy_backend_current_queue)";
    }
    {
      title = "Members of each role that are there";
      expr = "min by (proxy) (haproxy_backend_active_servers{proxy=~\"role-.*\"})";
      legend = "{{proxy}}";
    }
  ];

  machines = dashboard "machines" "Machines" [
    {
      title = "Processors";
      expr = "1 - avg by (node) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))";
      unit = "percentunit";
    }
    {
      title = "Memory in use";
      expr = "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes";
      unit = "percentunit";
    }
    {
      title = "Disk in use";
      expr = "1 - node_filesystem_avail_bytes{mountpoint=~\"/|/boot|/backup\"} / node_filesystem_size_bytes";
      unit = "percentunit";
      legend = "{{node}} {{mountpoint}}";
    }
    {
      title = "Waiting for memory";
      expr = "rate(node_pressure_memory_stalled_seconds_total[5m])";
      unit = "percentunit";
    }
    {
      title = "Failed units";
      expr = "sum by (node) (node_systemd_unit_state{state=\"failed\"})";
    }
    {
      title = "Traffic out";
      expr = "sum by (node) (rate(node_network_transmit_bytes_total{device!=\"lo\"}[5m]))";
      unit = "Bps";
    }
  ];

  data = dashboard "data" "Data" [
    {
      title = "Standby behind the primary";
      expr = "pg_replication_lag_seconds";
      unit = "s";
    }
    {
      title = "Transactions";
      expr = "sum by (node) (rate(pg_stat_database_xact_commit[5m]))";
      unit = "ops";
    }
    {
      title = "Size of the databases";
      expr = "pg_database_size_bytes{datname=~\"quizmentor|unleash\"}";
      unit = "bytes";
      legend = "{{datname}} on {{node}}";
    }
    {
      title = "Age of the last backup";
      expr = "time() - quizmentor_backup_last_success_seconds";
      unit = "s";
      legend = "{{step}} of {{node}}";
    }
    {
      title = "Cache: memory";
      expr = "redis_memory_used_bytes";
      unit = "bytes";
    }
    {
      title = "WAL segments that could not be archived";
      expr = "rate(pg_stat_archiver_failed_count[5m])";
    }
  ];
}
