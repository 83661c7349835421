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
        modules: fleet: node:
        lib.nixosSystem {
          modules = modules ++ [
            self.nixosModules.default
            {
              nixpkgs.hostPlatform = system;
              nixpkgs.overlays = [ self.overlays.default ];
              quizmentor = { inherit fleet node; };
            }
          ];
        };
      mkFleets =
        modules:
        lib.mapAttrs (
          _: fleet: lib.mapAttrs (node: _: mkHost modules fleet node) fleet.nodes
        ) quizmentor.fleets;
      # Hosts of all fleets under one name each.
      flat = lib.concatMapAttrs (
        fleet: lib.mapAttrs' (node: lib.nameValuePair (quizmentor.hostName fleet node))
      );

      fleets = mkFleets [ self.nixosModules.server ];
      hosts = flat fleets;
      # The same hosts without a disk layout: nixpkgs' images bring their own.
      images = lib.mapAttrs (
        name: host:
        pkgs.linkFarm "image-${name}" {
          raw = host.config.system.build.images.raw-efi;
          qcow2 = host.config.system.build.images.qemu-efi;
        }
      ) (flat (mkFleets [ self.nixosModules.serverImage ]));
      installer = lib.nixosSystem {
        modules = [
          ./nixos/server/installer.nix
          { nixpkgs.hostPlatform = system; }
        ];
      };
      vmTests = import ./tests/vm {
        inherit lib pkgs;
        inherit (quizmentor) fleets;
        module = self.nixosModules.default;
      };
    in
    {
      inherit (quizmentor) bill;
      inherit images;

      overlays.default = import ./nixos/packages { inherit lib; };

      nixosModules = {
        default = ./nixos/modules;
        # What a virtual server needs beyond the services.
        server.imports = [
          disko.nixosModules.disko
          sops-nix.nixosModules.sops
          ./nixos/server
          ./nixos/server/boot.nix
          ./nixos/server/disks.nix
        ];
        serverImage.imports = [
          sops-nix.nixosModules.sops
          ./nixos/server
        ];
      };

      nixosConfigurations = hosts;

      packages.${system} = {
        inherit (pkgs.quizmentor)
          edge
          image
          models
          server
          unleash
          web
          ;
        default = pkgs.quizmentor.server;
        installer = installer.config.system.build.kexecTree;
      };

      apps.${system}.default = {
        type = "app";
        program = lib.getExe pkgs.quizmentor.server;
        meta.description = "QuizMentor in one process over embedded stores";
      };

      checks.${system} =
        lib.mapAttrs' (name: host: lib.nameValuePair "host-${name}" host.config.system.build.toplevel) hosts
        // lib.mapAttrs' (name: lib.nameValuePair "vm-${name}") vmTests
        // import ./tests/nix/checks.nix {
          inherit lib pkgs;
          root = ./.;
        };

      devShells.${system}.default = pkgs.mkShell {
        packages = [
          pkgs.age
          pkgs.cargo
          pkgs.clippy
          pkgs.deadnix
          pkgs.jq
          pkgs.nixfmt
          pkgs.nixos-anywhere
          pkgs.openssl
          pkgs.postgresql_17
          pkgs.protobuf
          pkgs.rustfmt
          pkgs.shellcheck
          pkgs.sops
          pkgs.ssh-to-age
        ];
      };

      formatter.${system} = pkgs.nixfmt-tree;

      # Per fleet and host: the names of the secrets it needs, for secrets/generate.
      secrets = lib.mapAttrs (
        _: lib.mapAttrs (_: host: lib.attrNames host.config.quizmentor.secrets)
      ) fleets;

      # What is compared with tests/golden, and read by tests/nix/eval.
      golden = lib.mapAttrs (
        _: host: import ./tests/nix/golden.nix { inherit lib host; }
      ) fleets.production;

      # Mistakes that evaluation let through.
      letThrough = import ./tests/nix/refusals.nix {
        inherit lib;
        inherit (quizmentor) withinBudget;
        host = hosts.worker-2;
      };

      # Attribute paths of everything that evaluates to a derivation.
      derivations =
        let
          under = prefix: set: map (name: "${prefix}.${name}") (lib.attrNames set);
        in
        under "packages.${system}" self.packages.${system}
        ++ under "checks.${system}" self.checks.${system}
        ++ under "images" images
        ++ [ "devShells.${system}.default" ];
    };
}
