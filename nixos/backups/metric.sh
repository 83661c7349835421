# done_at NAME: records in a metric that the step NAME succeeded now; the node exporter reads it.
done_at() {
    local file=$METRICS/$1.prom
    {
        echo '# HELP quizmentor_backup_last_success_seconds When a step of the backups last succeeded.'
        echo '# TYPE quizmentor_backup_last_success_seconds gauge'
        echo "quizmentor_backup_last_success_seconds{step=\"$1\"} $(date +%s)"
    } >"$file.part"
    chmod 0644 "$file.part"
    mv "$file.part" "$file"
}

