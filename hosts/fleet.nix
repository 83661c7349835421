# The fleets. Everything else is derived from what stands here: hosts, addresses, firewalls,
# memory limits and the bill (nix eval .#bill --json).
#
# Prices are parameters: EUR a month before tax for Hetzner's German locations, as of the day
# below. New orders may cost more; put in what the order page shows, and evaluation tells whether
# the fleets still fit their budgets. The addresses are examples of RFC 5737, to be replaced by
# those of your servers.
let
  # TLS ends at the load balancer, or at Cloudflare where there is none.
  openPorts = {
    ssh = 22;
    http = 80;
  };
  network.range = "10.20.0.0/24";

  # Backups by the database and its restore drill go to a volume that outlives the server.
  backupVolume = node: {
    size = 100;
    inherit node;
    device = "/dev/disk/by-id/scsi-0HC_Volume_backup";
    mountPoint = "/backup";
  };

  # Cloudflare's networks, as it publishes them; seldom changed.
  edgeNetworks = [
    "103.21.244.0/22"
    "103.22.200.0/22"
    "103.31.4.0/22"
    "104.16.0.0/13"
    "104.24.0.0/14"
    "108.162.192.0/18"
    "131.0.72.0/22"
    "141.101.64.0/18"
    "162.158.0.0/15"
    "172.64.0.0/13"
    "173.245.48.0/20"
    "188.114.96.0/20"
    "190.93.240.0/20"
    "197.234.240.0/22"
    "198.41.128.0/17"
    "2400:cb00::/32"
    "2405:8100::/32"
    "2405:b500::/32"
    "2606:4700::/32"
    "2803:f800::/32"
    "2a06:98c0::/29"
    "2c0f:f248::/32"
  ];
  edge = {
    "Cloudflare Workers" = 5;
    "Cloudflare R2" = 5;
  };
  essentials = edge // {
    Supabase = 25;
    OpenAI = 50;
    Resend = 20;
  };
  everything = essentials // {
    "Cloudflare D1" = 5;
    Upstash = 10;
    Vercel = 20;
  };

  # scale: this many workers beyond the two that hold the data.
  extraWorkers = 2;
in
{
  prices = {
    asOf = "2026-05-27";
    dollarsPerEuro = 1.1637;
    address = 0.5;
    floatingAddress = 3.0;
    volumeGB = 0.0572;
    loadBalancers.lb11 = 7.49;
    servers = {
      cx23 = {
        cores = 2;
        memory = 4096;
        disk = 40;
        traffic = 20;
        price = 3.99;
      };
      cx33 = {
        cores = 4;
        memory = 8192;
        disk = 80;
        traffic = 20;
        price = 6.49;
      };
      cx43 = {
        cores = 8;
        memory = 16384;
        disk = 160;
        traffic = 20;
        price = 11.99;
      };
    };
  };

  fleets = {
    # Two nodes for the first months: the engines on one, the data on the other, each holding a
    # copy of what the other could lose. No cluster, no load balancer.
    starter = {
      domain = "quiz.example.org";
      budget = 150;
      inherit edgeNetworks network openPorts;
      floatingAddress = "192.0.2.10";
      managed = essentials;
      volumes.backup = backupVolume "node-2";
      nodes = {
        node-1 = {
          type = "cx43";
          roles = [
            "balancer"
            "cache"
            "engines"
            "monitoring"
            "records-standby"
          ];
          publicAddress = "192.0.2.11";
          privateAddress = "10.20.0.11";
        };
        node-2 = {
          type = "cx33";
          roles = [
            "backups"
            "balancer"
            "flags"
            "logs"
            "records"
            "vectors"
          ];
          publicAddress = "192.0.2.12";
          privateAddress = "10.20.0.12";
        };
      };
    };

    # The plan's three nodes.
    production = {
      domain = "quiz.example.org";
      budget = 200;
      inherit edgeNetworks network openPorts;
      floatingAddress = "203.0.113.10";
      loadBalancer = {
        type = "lb11";
        privateAddress = "10.20.0.2";
      };
      managed = everything;
      volumes.backup = backupVolume "worker-2";
      nodes = {
        master = {
          type = "cx33";
          roles = [
            "balancer"
            "control-plane"
            "flags"
            "monitoring"
          ];
          publicAddress = "203.0.113.11";
          privateAddress = "10.20.0.11";
        };
        worker-1 = {
          type = "cx33";
          roles = [
            "balancer"
            "cache"
            "engines"
            "pods"
            "records-standby"
          ];
          publicAddress = "203.0.113.12";
          privateAddress = "10.20.0.12";
        };
        worker-2 = {
          type = "cx33";
          roles = [
            "backups"
            "balancer"
            "logs"
            "pods"
            "records"
            "vectors"
          ];
          publicAddress = "203.0.113.13";
          privateAddress = "10.20.0.13";
        };
      };
    };

    # Three control-plane nodes with embedded etcd, two nodes for the data, and as many workers
    # as wanted.
    scale = {
      domain = "quiz.example.org";
      budget = 300;
      inherit edgeNetworks network openPorts;
      floatingAddress = "198.51.100.10";
      loadBalancer = {
        type = "lb11";
        privateAddress = "10.20.0.2";
      };
      managed = everything;
      volumes.backup = backupVolume "worker-2";
      nodes =
        let
          node = type: number: roles: {
            inherit type roles;
            publicAddress = "198.51.100.${toString number}";
            privateAddress = "10.20.0.${toString number}";
          };
          extra =
            number:
            let
              index = number + 3;
            in
            {
              name = "worker-${toString index}";
              value = node "cx33" (20 + index) [
                "balancer"
                "engines"
                "pods"
              ];
            };
        in
        {
          master-1 = node "cx33" 11 [
            "balancer"
            "control-plane"
            "flags"
            "monitoring"
          ];
          master-2 = node "cx33" 12 [
            "balancer"
            "control-plane"
          ];
          master-3 = node "cx33" 13 [
            "balancer"
            "control-plane"
          ];
          worker-1 = node "cx43" 21 [
            "balancer"
            "cache"
            "engines"
            "pods"
            "records-standby"
          ];
          worker-2 = node "cx43" 22 [
            "backups"
            "balancer"
            "logs"
            "records"
            "vectors"
          ];
        }
        // builtins.listToAttrs (builtins.genList extra extraWorkers);
    };
  };
}
