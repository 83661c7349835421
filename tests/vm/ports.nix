# From outside, exactly the ports of the fleet are open; within it, nothing listens on all addresses
# but these.
{
  fleet,
  lib,
  machines,
  names,
  prelude,
  ...
}:
let
  open = lib.sort lib.lessThan (lib.attrValues fleet.openPorts);
in
{
  nodes = lib.mapAttrs (
    name: module:
    if lib.elem name names then
      {
        imports = [ module ];
        # The visitor comes in by a second network, which is the world.
        virtualisation.vlans = [
          1
          2
        ];
      }
    else
      {
        imports = [ module ];
        virtualisation.vlans = [ 2 ];
      }
  ) machines;
  testScript = ''
    ${prelude}

    start_fleet()
    visitor.wait_for_unit("multi-user.target")
    allowed = set(${builtins.toJSON open})
    for index, machine in enumerate((master, worker_1, worker_2), start=1):
        public = machine.succeed("ip -4 -o address show dev eth2 | awk '{print $4}' | cut -d/ -f1").strip()
        scan = visitor.succeed(f"nmap -Pn -p- --open -oG - {public}")
        found = {int(part.split("/")[0]) for part in scan.replace(",", " ").split() if "/open/" in part}
        assert found <= allowed and {22, 80} <= found, (machine.name, found)
  '';
}
