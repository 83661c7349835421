# The web page as files, for a static host; the binary carries the same files itself.
{
  root,
  fileset,
  lib,
  runCommand,
}:
let
  src = fileset.toSource {
    root = root + "/web";
    fileset = root + "/web";
  };
in
runCommand "quizmentor-web" { meta.platforms = lib.platforms.all; } ''
  cp -r ${src} $out
''
