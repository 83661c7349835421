# The production fleet as virtual machines on one network: the same modules and the same
# description, with the addresses that the test driver gives and secrets from plain files.
{
  lib,
  pkgs,
  fleets,
  module,
}:
let
  inherit (fleets) production;
  names = lib.attrNames production.nodes;
  # The test driver's private network: 192.168.1.N on eth1, in the order of the names.
  address = name: "192.168.1.${toString (lib.lists.findFirstIndex (n: n == name) 0 names + 1)}";

  fleet = production // {
    network = {
      range = "192.168.1.0/24";
      interface = "eth1";
    };
    loadBalancer = null;
    floatingAddress = null;
    volumes = { };
    nodes = lib.mapAttrs (
      name: node:
      node
      // {
        privateAddress = address name;
        publicAddress = null;
        # No pods: their image would have to be built into the test.
        roles = lib.subtractLists [
          "control-plane"
          "pods"
        ] node.roles;
      }
    ) production.nodes;
  };

  driverUnits = [
    "backdoor"
    "dhcpcd"
    "qemu-guest-agent"
    "register-nix-paths"
  ];

  # One file a secret, in the initial ramdisk's place: a directory that only root may enter.
  secretValue =
    name:
    if name == "backup/repository" then
      "/var/lib/offsite"
    else
      lib.optionalString (name == "unleash-client-token") "*:production."
      + "test-${lib.replaceStrings [ "/" ] [ "-" ] name}-0123456789abcdef0123456789abcdef";

  secrets =
    { config, ... }:
    {
      system.activationScripts.quizmentorTestSecrets = {
        deps = [
          "specialfs"
          "users"
        ];
        text = lib.concatStringsSep "\n" (
          lib.mapAttrsToList (name: secret: ''
            install -D --mode=0400 --owner=${secret.owner} ${
              pkgs.writeText "secret" (if name == "backup/environment" then "" else secretValue name)
            } ${secret.path}
          '') config.quizmentor.secrets
        );
      };
    };
in
rec {
  inherit
    address
    fleet
    lib
    names
    pkgs
    ;

  # The machine of a node of the fleet, with more modules of the test.
  machine = name: modules: {
    imports = [
      module
      secrets
    ]
    ++ modules;
    quizmentor = {
      inherit fleet;
      node = name;
      unlimited = lib.genAttrs driverUnits (_: "the test driver's");
      unhardened = lib.genAttrs driverUnits (_: "the test driver's");
      state.dhcpcd.expendable = "leases of the test's network";
      administrators.operator = [
        (lib.head (lib.head (lib.attrValues (import ../../hosts/administrators.nix))))
      ];
    };
    services.quizmentor.guard.confirmation = lib.mkDefault "automatic";
    virtualisation = {
      memorySize = 2048;
      cores = 2;
      diskSize = 8192;
    };
  };

  # All nodes, and a client outside of the fleet.
  machines = lib.genAttrs names (name: machine name [ ]) // {
    visitor = {
      environment.systemPackages = [
        pkgs.curl
        pkgs.jq
        pkgs.nmap
        pkgs.quizmentor.server
      ];
    };
  };

  # Python that every test script begins with.
  prelude = ''
    import json

    FLEET = ${builtins.toJSON (map (lib.replaceStrings [ "-" ] [ "_" ]) names)}
    MASTER = "${address "master"}"


    def serving(machine: Machine) -> None:
        """Waits until the machine's front door serves."""
        machine.wait_for_unit("multi-user.target")
        machine.wait_until_succeeds("curl --silent --fail --max-time 5 http://127.0.0.1/readyz", timeout=180)


    def start_fleet() -> None:
        worker_2.start()
        worker_2.wait_for_unit("postgresql.target")
        start_all()
        for machine in (master, worker_1, worker_2):
            serving(machine)


    def ask(machine: Machine, path: str, more: str = "") -> dict:
        return json.loads(machine.succeed(f"curl --silent --show-error --fail-with-body --max-time 10 {more} http://{MASTER}{path}"))


    def token(machine: Machine) -> str:
        return str(ask(machine, "/v1/auth/guest", "--request POST")["token"])


    def practise(machine: Machine, bearer: str, answer_id: str) -> dict:
        """Starts a session and answers its first question."""
        header = f"--header 'Authorization: Bearer {bearer}' --header 'Content-Type: application/json'"
        session = ask(machine, "/v1/sessions", f"{header} --data '{{\"subject\": \"biology\"}}'")
        question = session["next"]["question"]
        responses: dict[str, dict[str, object]] = {
            "single_choice": {"option": 0},
            "multiple_choice": {"options": [0]},
            "true_false": {"truth": True},
            "short_answer": {"text": "?"},
            "numerical": {"number": 0},
            "matching": {"answers": [0 for _ in question["body"].get("prompts", [])]},
        }
        response = responses[question["body"]["kind"]]
        body = json.dumps({"id": answer_id, "question": question["id"], "response": response})
        return ask(machine, f"/v1/sessions/{session['id']}/answers", f"{header} --data '{body}'")


    def answers(machine: Machine, database: str = "quizmentor") -> int:
        command = f"runuser -u postgres -- psql -tA -d {database} -c 'SELECT count(*) FROM answers'"
        return int(machine.succeed(command))
  '';
}
