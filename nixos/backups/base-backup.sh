quizmentor-records backup
done_at base-backup
