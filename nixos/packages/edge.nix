# The edge as wrangler deploys it: the worker, its settings, and the web page's files beside them.
{
  root,
  fileset,
  lib,
  nodejs,
  runCommand,
}:
let
  src = fileset.toSource {
    inherit root;
    fileset = fileset.unions [
      (root + "/crates/api/src/routes/pages.rs")
      (root + "/edge")
      (root + "/web")
    ];
  };
in
runCommand "quizmentor-edge"
  {
    nativeBuildInputs = [ nodejs ];
    meta.platforms = lib.platforms.all;
  }
  ''
    node --test ${src}/edge/worker.test.mjs
    mkdir $out
    cp -r ${src}/edge ${src}/web $out
    chmod -R u+w $out
    rm $out/edge/worker.test.mjs
  ''
