# Loki in one process, with its chunks on the local disk.
{ address }:
{
  auth_enabled = false;
  analytics.reporting_enabled = false;
  server = {
    http_listen_address = address;
    http_listen_port = 3100;
    grpc_listen_address = "127.0.0.1";
  };
  common = {
    path_prefix = "/var/lib/loki";
    replication_factor = 1;
    ring = {
      instance_addr = "127.0.0.1";
      kvstore.store = "inmemory";
    };
  };
  schema_config.configs = [
    {
      from = "2026-01-01";
      store = "tsdb";
      object_store = "filesystem";
      schema = "v13";
      index = {
        prefix = "index_";
        period = "24h";
      };
    }
  ];
  storage_config.filesystem.directory = "/var/lib/loki/chunks";
  compactor = {
    working_directory = "/var/lib/loki/compactor";
    retention_enabled = true;
    delete_request_store = "filesystem";
  };
  limits_config = {
    retention_period = "720h";
    ingestion_rate_mb = 8;
    max_query_series = 5000;
    allow_structured_metadata = true;
  };
}
