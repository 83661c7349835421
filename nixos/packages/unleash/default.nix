# Unleash, the feature flag server, which nixpkgs does not have. The lock file gives the sum of
# every package; the registry is the one that nixpkgs fetches pnpm from.
{
  lib,
  buildNpmPackage,
  importNpmLock,
  makeWrapper,
  nodejs_22,
  pnpm,
}:
let
  registry = lib.head (lib.match "(https://[^/]+)/.*" pnpm.src.url);
  lock = lib.importJSON ./package-lock.json;
  manifest = lib.importJSON ./package.json;

  # "node_modules/a/node_modules/@scope/b" is fetched from REGISTRY/@scope/b/-/b-VERSION.tgz.
  resolve =
    path: package:
    let
      name = lib.last (lib.splitString "node_modules/" path);
    in
    package
    // lib.optionalAttrs (path != "") {
      resolved = "${registry}/${name}/-/${baseNameOf name}-${package.version}.tgz";
    };
in
buildNpmPackage {
  pname = "unleash-server";
  version = manifest.dependencies.unleash-server;

  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./package.json
      ./package-lock.json
    ];
  };
  nodejs = nodejs_22;
  npmDeps = importNpmLock {
    package = manifest;
    packageLock = lock // {
      packages = lib.mapAttrs resolve lock.packages;
    };
  };
  npmConfigHook = importNpmLock.npmConfigHook;
  npmFlags = [ "--ignore-scripts" ];
  dontNpmBuild = true;

  nativeBuildInputs = [ makeWrapper ];
  postInstall = ''
    makeWrapper ${lib.getExe nodejs_22} $out/bin/unleash-server \
      --add-flags $out/lib/node_modules/${manifest.name}/node_modules/unleash-server/dist/server.js \
      --set NODE_ENV production
  '';

  meta = {
    description = "Feature flag server";
    homepage = "https://github.com/Unleash/unleash";
    license = lib.licenses.agpl3Plus;
    mainProgram = "unleash-server";
  };
}
