# The binary with its models beside it. Only what cargo reads is part of the source.
{
  root,
  fileset,
  lib,
  rustPlatform,
  protobuf,
  models,
}:
let
  manifest = lib.importTOML (root + "/Cargo.toml");
in
rustPlatform.buildRustPackage {
  pname = "quizmentor";
  inherit (manifest.workspace.package) version;

  src = fileset.toSource {
    inherit root;
    fileset = fileset.unions [
      (root + "/Cargo.toml")
      (root + "/Cargo.lock")
      (root + "/crates")
      (root + "/starter")
      (root + "/web")
    ];
  };
  cargoLock.lockFile = root + "/Cargo.lock";
  cargoBuildFlags = [ "--package=quizmentor" ];

  nativeBuildInputs = [ protobuf ];

  # The workspace's tests run by tests/run; they need servers and a browser.
  doCheck = false;

  postInstall = ''
    mkdir -p $out/share/quizmentor
    ln -s ${models} $out/share/quizmentor/models
  '';
  doInstallCheck = true;
  installCheckPhase = ''
    $out/bin/quizmentor config print > defaults.toml
    $out/bin/quizmentor --config defaults.toml config check
  '';

  meta = {
    description = "Adaptive quiz and learning platform in one program";
    license = with lib.licenses; [
      asl20
      mit
    ];
    mainProgram = "quizmentor";
    platforms = lib.platforms.linux;
  };
}
