# The OCI image of the burst pods: the binary, its models and nothing else. It is streamed, so no
# tarball lies in the store: $(nix build --print-out-paths .#image) | ctr images import -
{
  dockerTools,
  server,
  lib,
}:
dockerTools.streamLayeredImage {
  name = "quizmentor";
  tag = server.version;
  contents = [ dockerTools.caCertificates ];
  config = {
    Entrypoint = [ (lib.getExe server) ];
    Cmd = [ "serve" ];
    User = "65532:65532";
    ExposedPorts."8080/tcp" = { };
  };
}
