mkdir -p "$DIRECTORY/snapshots"
sqlite3 -readonly /var/lib/grafana/data/grafana.db ".backup '$DIRECTORY/snapshots/grafana.db.part'"
mv "$DIRECTORY/snapshots/grafana.db.part" "$DIRECTORY/snapshots/grafana.db"
done_at grafana
