//! Shell pieces that every CI file has: getting imgarch, and asking it.

/// Downloads the release for the runner's own architecture and checks it against the release's own sums. Exit codes pass
/// through: 1 is a fault, 3 is not knowing, and both stop the job.
pub fn install(version: &str) -> Vec<String> {
    let base = format!("https://github.com/imgarch/imgarch/releases/download/v{version}");
    vec![
        "case \"$(uname -m)\" in x86_64 | aarch64) arch=$(uname -m) ;; *) exit 1 ;; esac".to_string(),
        "archive=imgarch-$arch-unknown-linux-musl.tar.gz".to_string(),
        format!("curl -fsSL -O \"{base}/$archive\" -O \"{base}/$archive.sha256\""),
        "sha256sum -c \"$archive.sha256\"".to_string(),
        "tar -xzf \"$archive\" imgarch".to_string(),
        "rm \"$archive\" \"$archive.sha256\"".to_string(),
    ]
}
