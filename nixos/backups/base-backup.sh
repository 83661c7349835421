case $(quizmentor-records status) in
standby*) echo 'a standby: the primary makes the base backups' ;;
*)
    quizmentor-records backup
    done_at base-backup
    ;;
esac
