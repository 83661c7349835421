# Who may sign in to the machines and become root: name = [ SSH public keys ]. The key below
# belongs to nobody (its private half was never kept); put your own in its place.
{
  operator = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHMHaV0oOwMOOiPE0bQxvPiOteQm/6aQpGMxfbHoHzut operator@example.org"
  ];
}
