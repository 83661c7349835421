# A single server keeps its state in SQLite; several write etcd snapshots by themselves. Without
# the token neither can be read again.
server=/var/lib/rancher/k3s/server
target=$DIRECTORY/snapshots/cluster
mkdir -p "$target"
if [ -e "$server/db/state.db" ]; then
    sqlite3 -readonly "$server/db/state.db" ".backup '$target/state.db'"
else
    newest=$(find "$server/db/snapshots" -type f -printf '%T@ %p\n' | sort --numeric-sort | tail --lines=1)
    cp "${newest#* }" "$target/etcd-snapshot"
fi
tar --create --zstd --file="$target/keys.tar.zst.part" --directory="$server" tls token cred
mv "$target/keys.tar.zst.part" "$target/keys.tar.zst"
done_at cluster
