# The trained models, their cards included, with their sums checked.
{
  root,
  fileset,
  lib,
  runCommand,
}:
let
  src = fileset.toSource {
    root = root + "/models";
    fileset = fileset.difference (root + "/models") (root + "/models/training");
  };
in
runCommand "quizmentor-models" { meta.platforms = lib.platforms.all; } ''
  cd ${src}
  for sums in */SHA256SUMS; do
    (cd "$(dirname "$sums")" && sha256sum --check --strict SHA256SUMS)
  done
  cp -r . $out
''
