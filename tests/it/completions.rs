//! The completion scripts, in real shells.

use std::process::Command;

use crate::kit::machine::PATH;

/// What bash offers for the last of these words. `docker` is a program that lists one image.
fn offered(words: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let docker = directory.path().join("docker");
    std::fs::write(&docker, "#!/bin/sh\necho team/app:v1\necho '<none>:<none>'\n").unwrap();
    std::fs::set_permissions(&docker, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = "source <(\"$IMGARCH\" completions bash)\nCOMP_WORDS=(imgarch \"$@\"); COMP_CWORD=$#\n\
                  _imgarch_with_images imgarch \"${@: -1}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"\n\
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-c", script, "bash"])
        .args(words)
        .env("IMGARCH", env!("CARGO_BIN_EXE_imgarch"))
        .env("PATH", format!("{}:{PATH}", directory.path().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect()
}

#[test]
fn bash_offers_formats_profiles_rules_codes_and_local_images() {
    for (words, expected) in [
        (vec!["scan", "--format", "sar"], vec!["sarif"]),
        (vec!["scan", "--target", "graviton4"], vec!["graviton4"]),
        (vec!["explain", "entrypoint-wrong"], vec!["entrypoint-wrong-arch"]),
        (vec!["scan", "--fail-on", "war"], vec!["warning"]),
        (vec!["scan", "x", "team"], vec!["team/app:v1"]),
        (vec!["scan", "--format", "team"], vec![]),
        (vec!["cluster", "x", "team"], vec![]),
    ] {
        let found: Vec<String> = offered(&words).into_iter().filter(|word| !word.is_empty()).collect();
        assert_eq!(found, expected, "{words:?}");
    }
    assert!(offered(&["scan", "--off", ""]).len() > 5);
}
