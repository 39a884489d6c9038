//! The rules against their fixtures: each rule has files in which it finds something, and files that are fine.

mod formats;
mod found;

use std::fs;
use std::path::{Path, PathBuf};

use crate::kit::machine::{self, Need};
use imgarch::lint::{self, HostFile, Linted, Outside, Pin, RULES, Safety, SourceFormat};
use imgarch::oci::Reference;
use imgarch::platform::{Arch, Platform};
use imgarch::report::render_lint;
use imgarch::report::terminal::Screen;

fn fixtures(prefix: &str) -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/lint");
    let mut found = Vec::new();
    for directory in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        for path in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.file_name().unwrap().to_str().unwrap().starts_with(prefix) {
                found.push((directory.file_name().unwrap().to_str().unwrap().to_string(), path));
            }
        }
    }
    found.sort();
    found
}

/// The first bytes of an ELF program for `arch`.
fn elf(arch: Arch) -> Vec<u8> {
    let row = arch.row();
    let mut head = vec![0u8; 64];
    head[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    head[16] = 2;
    head[18..20].copy_from_slice(&row.machines[0].to_le_bytes());
    head
}

/// A build context with programs for known architectures.
fn host_files(pattern: &str) -> Vec<HostFile> {
    let tree = [
        ("bin/app", elf(Arch::Amd64)),
        ("bin/app-amd64", elf(Arch::Amd64)),
        ("bin/app-arm64", elf(Arch::Arm64)),
        ("bin/tool-amd64", elf(Arch::Amd64)),
        ("bin/misnamed-arm64", elf(Arch::Amd64)),
        ("modules/a.node", elf(Arch::Arm64)),
        ("modules/b.node", elf(Arch::Arm64)),
        ("prebuilds/linux-x64/a.node", elf(Arch::Amd64)),
        ("prebuilds/linux-arm64/a.node", elf(Arch::Arm64)),
        ("scripts/run.sh", b"#!/bin/sh\n".to_vec()),
        ("scripts/windows.sh", b"#!/bin/sh\r\n".to_vec()),
        ("scripts/plain.sh", b"#!/bin/sh\n".to_vec()),
        ("mac/app", vec![0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1]),
    ];
    let is_in = |path: &str| path == pattern || (pattern.ends_with('/') && path.starts_with(pattern));
    tree.into_iter()
        .filter(|(path, _)| is_in(path))
        .map(|(path, head)| HostFile { path: path.to_string(), is_executable: path != "scripts/plain.sh", head })
        .collect()
}

fn registry(reference: &Reference) -> Result<Pin, String> {
    let Some(digest) = reference.digest.as_ref() else {
        let archs: &[Arch] =
            if reference.to_string().contains("no-arm") { &[Arch::Amd64] } else { &[Arch::Amd64, Arch::Arm64] };
        return Ok(Pin::Index(archs.iter().copied().map(Platform::linux).collect()));
    };
    match digest.hex().as_bytes()[0] {
        b'1' => Ok(Pin::Manifest {
            platform: Some(Platform::linux(Arch::Amd64)),
            index: Some(format!("sha256:{}", "a".repeat(64)).parse().unwrap()),
        }),
        b'2' | b'a' => Ok(Pin::Index(vec![Platform::linux(Arch::Amd64), Platform::linux(Arch::Arm64)])),
        _ => Err("connection refused".to_string()),
    }
}

fn lint_text(path: &Path, text: &str) -> Linted {
    let named_archs = || [Arch::Amd64, Arch::Arm64].into();
    let outside = Outside { files: &host_files, pin: Some(&registry), named_archs: &named_archs, ..Outside::nothing() };
    let format = format(path, text);
    lint::lint(path, text, format, &outside)
}

fn lint_fixture(path: &Path) -> Linted {
    let name = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/lint")).unwrap();
    lint_text(name, &fs::read_to_string(path).unwrap())
}

#[test]
fn every_rule_has_a_bad_and_a_good_fixture() {
    for rule in RULES {
        for prefix in ["bad", "good"] {
            assert!(
                fixtures(prefix).iter().any(|(code, _)| code == rule.name),
                "{} has no {prefix} fixture",
                rule.name
            );
        }
    }
    for (code, path) in fixtures("") {
        assert!(lint::RuleName::parse(&code).is_some(), "{} is not the directory of a rule", path.display());
    }
}

#[test]
fn a_bad_fixture_is_found_and_shown() {
    for (code, path) in fixtures("bad") {
        let linted = lint_fixture(&path);
        assert!(linted.findings.iter().any(|finding| finding.code.name() == code), "{}: {:#?}", path.display(), linted);
        assert_eq!(linted.problems, [], "{}", path.display());
        let shown = render_lint(&linted, Screen { width: 140, color: false });
        let name = path.file_name().unwrap().to_str().unwrap().replace('.', "_");
        insta::assert_snapshot!(format!("{code}-{name}"), shown);
    }
}

#[test]
fn a_good_fixture_is_quiet() {
    for (_, path) in fixtures("good") {
        let linted = lint_fixture(&path);
        let shown = render_lint(&linted, Screen { width: 140, color: false });
        assert!(linted.findings.is_empty() && linted.problems.is_empty(), "{}:\n{shown}", path.display());
    }
}

/// Repeated rewriting ends, and rewritten code is no longer reported.
#[test]
fn every_rewrite_fixes_its_finding() {
    for (code, path) in fixtures("bad") {
        let first = lint_fixture(&path);
        let name = first.path.clone();
        let fixable = first.findings.iter().filter(|finding| finding.fix.is_some()).count();
        let mut text = first.text.clone();
        for round in 0.. {
            assert!(round < 5, "{code}: rewriting does not end:\n{text}");
            let linted = lint_text(&name, &text);
            assert_eq!(linted.problems, [], "{code}:\n{text}");
            let fixed = lint::apply(&text, &linted.findings, Safety::Unsafe);
            if fixed.made == 0 {
                assert_eq!(fixed.postponed, 0, "{code}");
                assert_eq!(
                    linted.findings.len(),
                    first.findings.len() - fixable,
                    "{code}:\n{}\n{text}",
                    render_lint(&linted, Screen { width: 140, color: false })
                );
                break;
            }
            text = fixed.text;
        }
        let file = path.file_name().unwrap().to_str().unwrap().replace('.', "_");
        if fixable == 0 {
            continue;
        }
        insta::assert_snapshot!(
            format!("{code}-{file}-fixed"),
            lint::unified_diff(name.to_str().unwrap(), &first.text, &text)
        );
    }
}

#[test]
fn an_unreachable_registry_is_a_problem_and_not_a_pass() {
    let text = format!("FROM alpine@sha256:{}\n", "3".repeat(64));
    let linted = lint_text(Path::new("Dockerfile"), &text);
    assert_eq!((linted.findings.len(), linted.problems.len()), (0, 1));
    assert!(linted.problems[0].message.ends_with("connection refused"), "{:?}", linted.problems);
}

#[test]
fn a_base_image_that_lacks_a_platform_is_an_error_where_that_is_built() {
    let found = |text: &str| {
        let linted = lint_text(Path::new("Dockerfile"), text);
        assert_eq!(linted.problems, [], "{text}");
        linted.findings.into_iter().map(|finding| finding.message).collect::<Vec<_>>()
    };
    assert_eq!(found("FROM no-arm:1\n"), ["no-arm:1 has no linux/arm64, which is built"]);
    for text in [
        "FROM both:1\n",
        "FROM no-arm:1 AS unused\nFROM both:1\n",
        "FROM --platform=$BUILDPLATFORM no-arm:1 AS b\nRUN make-data\nFROM both:1\nCOPY --from=b /data/x.json /\n",
        "ARG B\nFROM $B\n",
        "FROM scratch\n",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn a_parse_error_is_a_problem_at_its_line() {
    let linted = lint_text(Path::new("Dockerfile"), "\u{feff}FROM a\nNONSENSE b\n");
    let problem = &linted.problems[0];
    assert_eq!(
        lint::Position::from_offset(&linted.text, problem.at),
        lint::Position { line: 2, column: 1 },
        "{problem:?}"
    );
    assert_eq!(linted.format, SourceFormat::Dockerfile);
}

#[test]
fn positions_count_a_byte_order_mark_and_carriage_returns() {
    let linted = lint_text(
        Path::new("Dockerfile"),
        "\u{feff}FROM amd64/alpine\r\nRUN curl -O https://x.io/t-x86_64 \\\r\n  && true\r\n",
    );
    let shown: Vec<(&str, lint::Position)> = linted
        .findings
        .iter()
        .map(|finding| {
            (&linted.text[finding.span.clone()], lint::Position::from_offset(&linted.text, finding.span.start))
        })
        .collect();
    let at = |line, column| lint::Position { line, column };
    assert_eq!(shown, [("amd64/alpine", at(1, 6)), ("x86_64", at(2, 28))]);
    let fixed = lint::apply(&linted.text, &linted.findings, Safety::Safe);
    assert!(fixed.text.starts_with("\u{feff}FROM alpine\r\nARG TARGETARCH\r\n"), "{}", fixed.text);
}

#[test]
fn ignore_comments_disable_findings_and_are_counted() {
    let linted = lint_text(
        Path::new("Dockerfile"),
        "FROM alpine\n# imgarch ignore=hard-coded-arch\nRUN true && \\\n  wget https://x.io/t-x86_64\n",
    );
    assert_eq!((linted.findings.len(), linted.ignored), (0, 1));
}

/// Fixtures are named after their content. Bake files are recognised by their extension.
fn format(path: &Path, text: &str) -> SourceFormat {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("hcl") => SourceFormat::BakeHcl,
        Some("json") => SourceFormat::BakeJson,
        _ => lint::format_of(path, text).unwrap_or_else(|| panic!("{} has no format", path.display())),
    }
}

/// Runs the binary in `directory`. Returns its exit code and its output.
fn imgarch(directory: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_imgarch")).args(words).current_dir(directory).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn the_command_finds_files_reads_the_context_and_rewrites_only_with_fix() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let dockerfile = "FROM alpine\nRUN wget https://x.io/t-linux-amd64\nCOPY bin/app /app\n";
    write("app/Dockerfile", dockerfile.as_bytes());
    write("app/bin/app", &elf(Arch::Arm64));
    write("node_modules/x/Dockerfile", b"FROM amd64/alpine\n");
    let read = || fs::read_to_string(directory.path().join("app/Dockerfile")).unwrap();
    let (code, text) = imgarch(directory.path(), &["lint"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("app/Dockerfile:2:31") && text.contains("bin/app is an AArch64 program"), "{text}");
    assert!(!text.contains("node_modules") && text.contains("2 errors, 0 warnings; 1 file"), "{text}");
    let (code, text) = imgarch(directory.path(), &["lint", "--fix", "--dry-run"]);
    assert!(code == Some(1) && text.contains("+RUN wget https://x.io/t-linux-${TARGETARCH}"), "{text}");
    assert_eq!(read(), dockerfile);
    let (code, text) = imgarch(directory.path(), &["lint", "--fix"]);
    assert!(code == Some(1) && text.contains("1 error, 0 warnings"), "{text}");
    assert_eq!(read(), dockerfile.replace("RUN", "ARG TARGETARCH\nRUN").replace("-amd64", "-${TARGETARCH}"));
    let (code, text) = imgarch(directory.path(), &["lint", "--fail-on", "never", "--format", "github"]);
    assert!(code == Some(0) && text.starts_with("::error file=app/Dockerfile,line=4,"), "{text}");
}

#[test]
fn a_dry_run_has_lints_exit_code_and_its_diff_is_one_that_patch_applies() {
    if !machine::has("a_dry_run_has_lints_exit_code_and_its_diff_is_one_that_patch_applies", &[Need::Patch]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("Dockerfile", "FROM alpine\nRUN wget https://x.io/t-linux-amd64\n"),
        ("my app.Dockerfile", "FROM amd64/alpine\nRUN true"),
        ("windows.Dockerfile", "FROM alpine\r\nRUN wget https://x.io/t-x86_64\r\n"),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    fs::set_permissions(directory.path().join("Dockerfile"), mode).unwrap();
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_imgarch"));
        let output = command.args(words).current_dir(directory.path()).output().unwrap();
        (output.status.code(), output.stdout)
    };
    let (code, diff) = run(&["lint", "--fix", "--dry-run"]);
    assert_eq!((code, run(&["lint"]).0), (Some(1), Some(1)), "a dry run changes nothing");
    let patch = directory.path().join("fixes.patch");
    fs::write(&patch, diff).unwrap();
    let applied = std::process::Command::new("patch")
        .args(["--binary", "-p1", "-i", "fixes.patch"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stdout));
    assert_eq!(run(&["lint"]).0, Some(0), "{}", String::from_utf8_lossy(&run(&["lint"]).1));
    let text = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    assert!(text("windows.Dockerfile").lines().count() == text("windows.Dockerfile").matches("\r\n").count());
    assert_eq!(text("my app.Dockerfile"), "FROM alpine\nRUN true");
}

#[test]
fn files_are_found_by_many_names_and_templates_are_reported_but_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let ill = "FROM alpine\nRUN wget https://x.io/t-linux64\n";
    for name in ["Dockerfile-8.2", "Dockerfile_web", "app.dockerfile", "Containerfile.dev", ".devcontainer/base.txt"] {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, ill).unwrap();
    }
    let devcontainer = "{ // comment\n \"build\": { \"dockerfile\": \"base.txt\" } }";
    fs::write(directory.path().join(".devcontainer/devcontainer.json"), devcontainer).unwrap();
    fs::write(directory.path().join("Dockerfile.j2"), "FROM {{ base }}\n{% if x %}\n").unwrap();
    fs::write(directory.path().join("Dockerfile.part"), "RUN wget https://x.io/t-linux64\n").unwrap();
    let (code, text) = imgarch(directory.path(), &["lint"]);
    assert!(code == Some(1) && text.contains("5 errors") && text.contains("5 files"), "{text}");
    assert!(
        text.contains("note: Dockerfile.j2 is skipped") && text.contains("note: Dockerfile.part is skipped"),
        "{text}"
    );
    fs::write(directory.path().join("recipe"), ill).unwrap();
    assert_eq!(imgarch(directory.path(), &["lint", "recipe"]).0, Some(1), "a file given by name is always read");
    let (code, text) = imgarch(directory.path(), &["lint", "Dockerfile.j2"]);
    assert!(code == Some(0) && text.contains("is skipped"), "{text}");
    let (_, text) = imgarch(directory.path(), &["lint", "recipe", "./recipe"]);
    assert!(text.contains("1 file"), "{text}");
}

#[test]
fn a_passed_build_argument_and_files_for_one_architecture_are_not_errors() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Dockerfile", "ARG ARCH=amd64\nFROM scratch\nARG ARCH\nCOPY .build/linux-$ARCH/app /app\n");
    assert_eq!(imgarch(directory.path(), &["lint"]).0, Some(1));
    write("Makefile", "image:\n\tdocker build --build-arg ARCH=$(ARCH) .\n");
    assert_eq!(imgarch(directory.path(), &["lint"]).0, Some(0));
    for (name, arch) in
        [("one/Dockerfile", "x86_64"), ("one/Dockerfile.aarch64", "aarch64"), ("two/arm64v8/Dockerfile", "aarch64")]
    {
        write(name, &format!("FROM alpine\nRUN wget https://x.io/t-{arch}\n"));
    }
    assert_eq!(imgarch(directory.path(), &["lint"]).0, Some(0), "{:?}", imgarch(directory.path(), &["lint"]));
    write("one/Dockerfile.aarch64", "FROM alpine\nRUN wget https://x.io/t-x86_64\n");
    assert_eq!(imgarch(directory.path(), &["lint"]).0, Some(1));
}

#[test]
fn files_excluded_by_dockerignore_are_not_copied() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("Dockerfile", b"FROM scratch\nCOPY . /src\n");
    write("target/debug/app", &elf(Arch::Amd64));
    let found = || imgarch(directory.path(), &["lint", "--fail-on", "warning"]);
    assert!(found().1.contains("target/debug/app in it is an x86-64 program"), "{:?}", found());
    write(".dockerignore", b"# what the build makes itself\n**/target\n");
    assert_eq!(found().0, Some(0), "{:?}", found());
    // A .dockerignore of the Dockerfile itself takes precedence.
    write("Dockerfile.dockerignore", b"*.md\n");
    assert_eq!(found().0, Some(1));
}

#[test]
fn an_unsupported_file_is_a_usage_error_and_a_broken_one_is_not_fine() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(imgarch(directory.path(), &["lint"]).0, Some(2));
    fs::write(directory.path().join("main.rs"), "fn main() {}").unwrap();
    assert_eq!(imgarch(directory.path(), &["lint", "main.rs"]).0, Some(2));
    assert_eq!(imgarch(directory.path(), &["lint", "absent"]).0, Some(3));
    fs::write(directory.path().join("Dockerfile"), "FROM alpine\nNONSENSE\n").unwrap();
    let (code, text) = imgarch(directory.path(), &["lint"]);
    assert!(code == Some(3) && text.contains("not-checked"), "{text}");
}

#[test]
fn a_rule_is_explained_by_name() {
    let (code, text) = imgarch(Path::new("."), &["explain", "target-arg-default"]);
    assert!(code == Some(0) && text.contains("# imgarch ignore=target-arg-default"), "{text}");
}
