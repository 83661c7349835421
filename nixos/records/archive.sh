# archive.sh DIRECTORY SEGMENT NAME: PostgreSQL's archive_command. Keeps a finished WAL segment,
# compressed; a segment that is there already with the same content is no error, one with another
# content is never overwritten.
directory=$1 segment=$2 name=$3
target=$directory/$name.zst

if [ -e "$target" ]; then
    zstd -dcq "$target" | cmp --silent - "$segment" && exit 0
    echo "$target is there already with another content" >&2
    exit 1
fi
part=$directory/.$name.part
# Through a pipe: given files, zstd sets the owner, which the server's sandbox does not let it do.
zstd -1 -q <"$segment" >"$part"
sync "$part"
mv --no-clobber "$part" "$target"
sync "$directory"
