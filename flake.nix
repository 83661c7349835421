{
  description = "QuizMentor: an adaptive quiz and learning platform as declared machines";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    disko = {
      url = "github:nix-community/disko";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    sops-nix = {
      url = "github:Mic92/sops-nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      disko,
      sops-nix,
    }:
    let
      inherit (nixpkgs) lib;
      system = "x86_64-linux";
      pkgs = import nixpkgs {
        inherit system;
        overlays = [ self.overlays.default ];
      };
      quizmentor = import ./nixos/lib { inherit lib; };

      mkHost =
        fleet: node:
        lib.nixosSystem {
          modules = [
            self.nixosModules.default
            self.nixosModules.server
            {
              nixpkgs.hostPlatform = system;
              nixpkgs.overlays = [ self.overlays.default ];
              quizmentor = { inherit fleet node; };
            }
          ];
        };
      mkFleet = fleet: lib.mapAttrs (node: _: mkHost fleet node) fleet.nodes;
      fleets = lib.mapAttrs (_: mkFleet) quizmentor.fleets;
      hosts = lib.concatMapAttrs (
        fleet: lib.mapAttrs' (node: lib.nameValuePair (quizmentor.hostName fleet node))
      ) fleets;
    in
    {
      inherit (quizmentor) bill;

      overlays.default = import ./nixos/packages { inherit lib; };

      nixosModules = {
        default = ./nixos/modules;
        # What a virtual server needs beyond the services: its disk and its secrets.
        server = {
          imports = [
            disko.nixosModules.disko
            sops-nix.nixosModules.sops
            ./nixos/server
          ];
        };
      };

      nixosConfigurations = hosts;

      packages.${system} = {
        inherit (pkgs.quizmentor)
          image
          models
          server
          unleash
          web
          ;
        default = pkgs.quizmentor.server;
      };

      # Per fleet and host: the names of the secrets it needs, for secrets/generate.
      secrets = lib.mapAttrs (
        _: lib.mapAttrs (_: host: lib.attrNames host.config.quizmentor.secrets)
      ) fleets;

      # What is compared with tests/golden, and read by tests/nix/eval.
      golden = lib.mapAttrs (_: host: import ./tests/nix/golden.nix { inherit lib host; }) fleets.production;

      formatter.${system} = pkgs.nixfmt-tree;
    };
}
