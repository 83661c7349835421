# Alloy: the journal to Loki with the fields that queries select by, traces of this node to Tempo.
{
  node,
  logs,
  traces,
  address,
}:
''
  loki.relabel "journal" {
    forward_to = []
    rule {
      source_labels = ["__journal__systemd_unit"]
      target_label  = "unit"
    }
    rule {
      source_labels = ["__journal_priority_keyword"]
      target_label  = "level"
    }
  }

  loki.source.journal "node" {
    max_age       = "12h"
    relabel_rules = loki.relabel.journal.rules
    labels        = { node = "${node}" }
    forward_to    = [loki.write.fleet.receiver]
    format_as_json = true
  }

  loki.write "fleet" {
    endpoint {
      url = "http://${logs}:3100/loki/api/v1/push"
    }
  }

  otelcol.receiver.otlp "node" {
    grpc {
      endpoint = "${address}:4317"
    }
    output {
      traces = [otelcol.processor.batch.node.input]
    }
  }

  otelcol.processor.batch "node" {
    output {
      traces = [otelcol.exporter.otlp.fleet.input]
    }
  }

  otelcol.exporter.otlp "fleet" {
    client {
      endpoint = "${traces}:4317"
      tls {
        insecure = true
      }
    }
  }
''
