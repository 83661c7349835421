# Downloads a snapshot of each collection, then removes it from the server.
key=$(cat "$CREDENTIALS_DIRECTORY/vectors-api-key")
ask() { curl --silent --show-error --fail --max-time 3600 --header @<(printf 'api-key: %s' "$key") "$@"; }

target=$DIRECTORY/snapshots/vectors
mkdir -p "$target"
collections=$(ask "$VECTORS/collections" | jq --raw-output '.result.collections[].name')
while read -r collection; do
    [ -n "$collection" ] || continue
    snapshots=$VECTORS/collections/$collection/snapshots
    name=$(ask --request POST "$snapshots" | jq --raw-output .result.name)
    ask --output "$target/.$collection.part" "$snapshots/$name"
    mv "$target/.$collection.part" "$target/$collection.snapshot"
    ask --request DELETE --output /dev/null "$snapshots/$name"
done <<<"$collections"
done_at vectors
