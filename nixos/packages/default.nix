# The overlay: everything of QuizMentor under pkgs.quizmentor.
{ lib }:
final: _:
let
  root = ../..;
  inherit (lib) fileset;
in
{
  quizmentor = lib.makeScope final.newScope (scope: {
    server = scope.callPackage ./server.nix { inherit root fileset; };
    models = scope.callPackage ./models.nix { inherit root fileset; };
    edge = scope.callPackage ./edge.nix { inherit root fileset; };
    web = scope.callPackage ./web.nix { inherit root fileset; };
    image = scope.callPackage ./image.nix { };
    unleash = scope.callPackage ./unleash { };
  });
}
