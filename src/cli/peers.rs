//! Flags of other scanners that users type out of habit, and what to type instead.
//! Sources: `trivy image --help`, `grype --help`, `syft --help`, `crane --help`, `dive --help`, `docker scout cves --help`.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::CliError;

/// One flag of another tool.
struct PeerFlag {
    names: &'static [&'static str],
    instead: &'static str,
}

const PEER_FLAGS: &[PeerFlag] = &[
    PeerFlag {
        names: &["--severity", "--only-severity", "--severity-cutoff"],
        instead: "use --fail-on error|warning|never to choose which findings fail the run; all findings are shown",
    },
    PeerFlag {
        names: &["--exit-code", "--exit-on-eol"],
        instead: "findings exit with 1 by default; with --fail-on never, findings do not fail the run",
    },
    PeerFlag {
        names: &["--all-platforms", "--platforms"],
        instead: "imgarch reads every platform by default; use --platform OS/ARCH, repeated, to select some",
    },
    PeerFlag {
        names: &["--ignore-unfixed", "--only-fixed", "--ignore-status"],
        instead: "findings have no fix state; accept known ones with --baseline FILE or [[ignore]] in .imgarch.toml",
    },
    PeerFlag {
        names: &["--ignorefile", "--ignore-policy", "--skip-files", "--skip-dirs"],
        instead: "use [[ignore]] in .imgarch.toml, with code, path, package or image, and a reason",
    },
    PeerFlag {
        names: &["--input", "--file", "--tar"],
        instead: "pass the archive or directory as IMAGE: imgarch scan image.tar",
    },
    PeerFlag { names: &["--json"], instead: "use --format json" },
    PeerFlag { names: &["--sarif"], instead: "use --format sarif" },
    PeerFlag { names: &["--html"], instead: "use --format html=FILE" },
    PeerFlag { names: &["--gitlab"], instead: "use --format gitlab" },
    PeerFlag {
        names: &["--template", "--compliance", "--add-cpes-if-none", "--by-cve"],
        instead: "use --format; `imgarch scan --help` lists the formats",
    },
    PeerFlag {
        names: &["--scope", "--layers", "--squash"],
        instead: "imgarch reads every layer, and judges what is left after the last",
    },
    PeerFlag {
        names: &[
            "--scanners",
            "--security-checks",
            "--vuln-type",
            "--pkg-types",
            "--list-all-pkgs",
            "--distro",
            "--catalogers",
        ],
        instead: "imgarch reads programs, not packages; to disable a rule use --off RULE",
    },
    PeerFlag {
        names: &["--image-src", "--from", "--local"],
        instead: "write the source before the name, such as docker-daemon:app:1 or docker://app:1",
    },
    PeerFlag {
        names: &["--username", "--password", "--token", "--registry-token", "--authfile"],
        instead: "log in with docker login or podman login; imgarch reads their files and credential helpers",
    },
    PeerFlag { names: &["--insecure-registry", "--allow-nondistributable-artifacts"], instead: "use --insecure" },
    PeerFlag { names: &["--no-color", "--no-colour"], instead: "use --color never, or set NO_COLOR" },
    PeerFlag { names: &["--show-suppressed", "--details"], instead: "use --all or --explain" },
    PeerFlag { names: &["--os"], instead: "use --platform OS/ARCH" },
    PeerFlag {
        names: &["--ci", "--highest-wasted-bytes", "--lowest-efficiency"],
        instead: "scan needs no flag in CI: it fails if an image would; use --format github or gitlab there",
    },
    PeerFlag { names: &["--no-progress", "--silent"], instead: "use --quiet" },
    PeerFlag { names: &["--debug"], instead: "use --verbose, or -vv" },
    PeerFlag { names: &["--cache-dir"], instead: "set IMGARCH_CACHE_DIR" },
    PeerFlag { names: &["--skip-tls-verify", "--insecure-skip-tls-verify", "--tls-verify"], instead: "use --insecure" },
    PeerFlag { names: &["--arch", "--architecture"], instead: "use --platform linux/ARCH" },
];

/// Returns the error for a flag of another tool. `None`: clap's error is better.
pub fn answer(error: &clap::Error) -> Option<CliError> {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(argument))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    let name = argument.split('=').next().unwrap_or(argument);
    let row = PEER_FLAGS.iter().find(|row| row.names.contains(&name))?;
    Some(CliError::Usage { text: format!("unknown argument {name}"), hint: Some(row.instead.to_string()) })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Args;

    fn refused(words: &[&str]) -> Option<CliError> {
        answer(&Args::command().try_get_matches_from(words).unwrap_err())
    }

    #[test]
    fn a_flag_of_another_scanner_is_answered_with_ours() {
        let error = refused(&["imgarch", "scan", "--severity=HIGH", "x"]).unwrap();
        assert_eq!((error.to_string().as_str(), error.exit_code()), ("unknown argument --severity", 2));
        assert!(error.hint().unwrap().contains("--fail-on"));
        assert!(refused(&["imgarch", "scan", "--nonsense", "x"]).is_none());
    }

    #[test]
    fn no_flag_of_ours_is_in_the_table() {
        for row in PEER_FLAGS {
            for name in row.names {
                assert!(refused(&["imgarch", "scan", name, "x"]).is_some(), "scan takes {name}");
            }
        }
    }
}
