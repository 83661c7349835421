use crate::process::quizmentor;

#[test]
fn help_is_for_people() {
    for command in [&[][..], &["serve"], &["config"]] {
        let output = quizmentor().args(command).arg("--help").output().unwrap();
        assert!(output.status.success());
        let help = String::from_utf8(output.stdout).unwrap();
        let name = format!("help_{}", command.first().unwrap_or(&"quizmentor"));
        insta::assert_snapshot!(name, help);
    }
}
