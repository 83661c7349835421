# Tempo in one process, with its blocks on the local disk.
{ address }:
{
  server = {
    http_listen_address = "127.0.0.1";
    http_listen_port = 3200;
    grpc_listen_address = "127.0.0.1";
    grpc_listen_port = 9097;
  };
  distributor.receivers.otlp.protocols.grpc.endpoint = "${address}:4317";
  compactor.compaction.block_retention = "96h";
  storage.trace = {
    backend = "local";
    local.path = "/var/lib/tempo/blocks";
    wal.path = "/var/lib/tempo/wal";
  };
  usage_report.reporting_enabled = false;
}
