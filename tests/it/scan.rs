//! `imgarch scan` from the user's side: the built binary, its exit code, its report. One row for each fault: a tree,
//! the entrypoint, the target, and the finding that must come first.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::kit::elf::ElfBuilder;

fn imgarch(arguments: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_imgarch")).args(arguments).current_dir(root).env("NO_COLOR", "1").output().unwrap()
}

fn json(arguments: &[&str]) -> (Value, i32) {
    let output = imgarch(&[arguments, &["--format", "json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{arguments:?}: {error}: {text}{}", String::from_utf8_lossy(&output.stderr));
    });
    (value, output.status.code().unwrap())
}

/// A file of a tree: path, mode, and bytes or a link's target.
enum Put<'a> {
    File(&'a str, u32, Vec<u8>),
    Link(&'a str, &'a str),
}
use Put::{File, Link};

fn write_tree(root: &Path, puts: &[Put<'_>]) {
    for put in puts {
        match put {
            File(path, mode, bytes) => {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Link(path, target) => {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                symlink(target, path).unwrap();
            }
        }
    }
}

fn amd64() -> Vec<u8> {
    ElfBuilder::amd64().build()
}

fn arm64() -> Vec<u8> {
    ElfBuilder::arm64().build()
}

/// A shared object that an interpreter loads.
fn library(builder: ElfBuilder) -> Vec<u8> {
    builder.e_type(3).soname("x.so").build()
}

fn scan_tree(puts: &[Put<'_>], entrypoint: &str, target: &str) -> (Value, i32) {
    let root = tempfile::tempdir().unwrap();
    write_tree(root.path(), puts);
    let rootfs = format!("rootfs:{}", root.path().display());
    json(&["scan", &rootfs, "--entrypoint", entrypoint, "--target", target])
}

/// The code and path of each warning and error, in order.
fn codes(report: &Value) -> Vec<(String, String)> {
    let findings = report["images"][0]["platforms"][0]["findings"].as_array().unwrap();
    let loud = findings.iter().filter(|finding| finding["severity"] != "note");
    loud.map(|finding| {
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_string();
        (text("code"), text("path"))
    })
    .collect()
}

/// Checks `/app` on an arm64 node, in a tree that is healthy except for `puts`.
fn check(puts: &[Put<'_>], expected: &[(&str, &str)]) {
    let mut tree = vec![File("bin/sh", 0o755, arm64()), File("usr/bin/true", 0o755, arm64())];
    let has_app = puts.iter().any(|put| matches!(put, File("app", ..) | Link("app", _)));
    if !has_app {
        tree.push(File("app", 0o755, arm64()));
    }
    for put in puts {
        tree.push(match put {
            File(path, mode, bytes) => File(path, *mode, bytes.clone()),
            Link(path, target) => Link(path, target),
        });
    }
    let (report, code) = scan_tree(&tree, "/app", "linux/arm64");
    let expected: Vec<(String, String)> = expected.iter().map(|(c, p)| (c.to_string(), p.to_string())).collect();
    assert_eq!(codes(&report), expected, "{report:#}");
    let has_error = report["summary"]["errors"].as_u64().unwrap() > 0;
    assert_eq!(code, i32::from(has_error), "{report:#}");
}

#[test]
fn a_healthy_tree_has_no_findings() {
    check(&[], &[]);
}

#[test]
fn the_containers_program_comes_first() {
    check(&[File("app", 0o755, amd64())], &[("entrypoint-wrong-arch", "/app")]);
    check(&[Link("app", "opt/real"), File("opt/real", 0o755, amd64())], &[("entrypoint-wrong-arch", "/opt/real")]);
    check(&[Link("app", "opt/gone")], &[("entrypoint-not-found", "/app")]);
    check(&[File("app", 0o644, arm64())], &[("entrypoint-not-executable", "/app")]);
    check(&[File("app", 0o755, b"#!/bin/sh\r\nexit 0\r\n".to_vec())], &[("entrypoint-bad-script", "/app")]);
    check(&[File("app", 0o755, b"#!/bin/bash\n".to_vec())], &[("entrypoint-bad-script", "/app")]);
    for bytes in [
        &b""[..],
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        b"<!DOCTYPE html><html><body>Not Found</body></html>\n",
        b"Not Found\n",
        b"\xef\xbb\xbf#!/bin/sh\n",
        b"\n#!/bin/sh\n",
        b"\xcf\xfa\xed\xfe\x07\x00\x00\x01\x03\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"PK\x03\x04",
        b"print('hello')\n",
    ] {
        check(&[File("app", 0o755, bytes.to_vec())], &[("entrypoint-not-a-program", "/app")]);
    }
}

#[test]
fn a_missing_or_foreign_loader_is_distinguished_from_the_program() {
    let loader = "/lib/ld-linux-aarch64.so.1";
    let dynamic = || ElfBuilder::arm64().interp(loader).pie().build();
    check(&[File("app", 0o755, dynamic())], &[("entrypoint-no-loader", "/app")]);
    check(
        &[File("app", 0o755, dynamic()), File("lib/ld-linux-aarch64.so.1", 0o755, library(ElfBuilder::amd64()))],
        &[("entrypoint-bad-loader", loader)],
    );
}

#[test]
fn the_severity_of_a_foreign_file_depends_on_how_it_is_reached() {
    check(&[File("usr/bin/tool", 0o755, amd64())], &[("foreign-on-path", "/usr/bin/tool")]);
    check(&[File("opt/tool/run", 0o755, amd64())], &[("foreign-file", "/opt/tool/run")]);
    // With `set -e` the container ends there. Otherwise the script continues.
    let script = |set: &str| format!("#!/bin/sh\n{set}/opt/tool/run --once\nexec /usr/bin/true\n").into_bytes();
    check(
        &[File("app", 0o755, script("set -e\n")), File("opt/tool/run", 0o755, amd64())],
        &[("entrypoint-wrong-arch", "/opt/tool/run")],
    );
    check(
        &[File("app", 0o755, script("")), File("opt/tool/run", 0o755, amd64())],
        &[("foreign-called", "/opt/tool/run")],
    );
}

#[test]
fn programs_that_scripts_run_are_reported_by_their_own_path() {
    let script = |text: &str| format!("#!/bin/sh\n{text}\n").into_bytes();
    let tool = || File("usr/bin/tool", 0o755, amd64());
    check(&[File("app", 0o755, script("exec tool --x")), tool()], &[("entrypoint-wrong-arch", "/usr/bin/tool")]);
    check(
        &[File("app", 0o755, script("cd /srv\n./tool\nexec /usr/bin/true")), File("srv/tool", 0o755, amd64())],
        &[("foreign-called", "/srv/tool")],
    );
    check(
        &[File("usr/bin/lint", 0o755, b"#!/opt/node/bin/node\n".to_vec()), File("opt/node/bin/node", 0o755, amd64())],
        &[("foreign-called", "/opt/node/bin/node")],
    );
    check(
        &[File("usr/bin/tool", 0o755, b"#!/usr/bin/env python3\r\n".to_vec())],
        &[("bad-program-on-path", "/usr/bin/tool")],
    );
}

#[test]
fn an_extension_module_counts_if_its_interpreter_is_there() {
    let module = "usr/lib/python3/dist-packages/fast/_fast.so";
    let path = format!("/{module}");
    check(
        &[File("usr/bin/python3", 0o755, arm64()), File(module, 0o644, library(ElfBuilder::amd64()))],
        &[("foreign-extension", &path)],
    );
}

#[test]
fn a_sibling_for_the_platform_excuses_the_others() {
    let path = |platform: &str| format!("app1/node_modules/@esbuild/{platform}/bin/esbuild");
    let (x64, arm) = (path("linux-x64"), path("linux-arm64"));
    check(&[File(&x64, 0o755, amd64()), File(&arm, 0o755, arm64())], &[]);
    check(&[File(&x64, 0o755, amd64())], &[("package-other-platform", &format!("/{x64}"))]);
}

#[test]
fn intentionally_foreign_files_are_not_findings_and_are_listed_by_all() {
    let object = ElfBuilder::amd64().e_type(1).build();
    let puts = || {
        [
            File("app", 0o755, arm64()),
            File("usr/local/go/src/debug/elf/testdata/gcc-amd64", 0o644, amd64()),
            File("opt/x.o", 0o644, object.clone()),
            File("usr/aarch64-none/x", 0o644, b"text".to_vec()),
            File("usr/lib/x86_64-linux-gnu/libz.so.1", 0o644, library(ElfBuilder::amd64())),
            File("usr/x86_64-linux-gnu/lib/libc.so.6", 0o755, library(ElfBuilder::amd64())),
        ]
    };
    let (report, code) = scan_tree(&puts(), "/app", "linux/arm64");
    assert_eq!((codes(&report), code), (vec![], 0), "{report:#}");
    let root = tempfile::tempdir().unwrap();
    write_tree(root.path(), &puts());
    let rootfs = format!("rootfs:{}", root.path().display());
    let (report, _) = json(&["scan", &rootfs, "--entrypoint", "/app", "--target", "linux/arm64", "--all"]);
    let findings = report["images"][0]["platforms"][0]["findings"].as_array().unwrap();
    let purposes: Vec<&str> = findings.iter().filter_map(|finding| finding["purpose"].as_str()).collect();
    assert_eq!(purposes, ["cross-toolchain", "multiarch", "object-file", "test-data"], "{report:#}");
}

#[test]
fn a_file_on_path_that_no_kernel_runs_is_a_warning() {
    check(&[File("usr/bin/tool", 0o755, b"<html></html>".to_vec())], &[("bad-program-on-path", "/usr/bin/tool")]);
}

#[test]
fn a_tree_without_programs_is_not_clean() {
    let (report, code) =
        scan_tree(&[File("etc/x", 0o644, b"x".to_vec()), File("usr/x", 0o644, b"x".to_vec())], "/app", "linux/arm64");
    assert_eq!(code, 1, "{report:#}");
    assert!(codes(&report).iter().any(|(code, _)| code == "no-programs"), "{report:#}");
}

#[test]
fn properties_of_a_target_change_the_answer() {
    let arm = || [File("app", 0o755, ElfBuilder::arm().build())];
    let outcome = |target: &str| {
        let (report, code) = scan_tree(&arm(), "/app", target);
        let target = report["images"][0]["platforms"][0]["targets"][0].clone();
        (target["outcome"].as_str().unwrap().to_string(), target["errno"].as_str().map(str::to_string), code)
    };
    assert_eq!(outcome("linux/arm64,aarch32=yes"), ("runs".into(), None, 0));
    assert_eq!(outcome("linux/arm64,aarch32=no"), ("fails".into(), Some("ENOEXEC".into()), 1));
    assert_eq!(outcome("linux/arm64"), ("unknown".into(), None, 3));
    assert_eq!(outcome("linux/amd64,emulates=arm"), ("emulated".into(), None, 0));
}

#[test]
fn json_matches_its_schema() {
    let schema: Value = serde_json::from_slice(&imgarch(&["schema"]).stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for image in ["testdata/incident/wrong", "testdata/incident/right", "testdata/none-such", "testdata/oracle"] {
        let (report, _) = json(&["scan", image, "--all", "--offline"]);
        let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{image}: {errors:?}");
    }
}

#[test]
fn the_example_incident_is_found_and_its_fix_passes() {
    let (report, code) = json(&["scan", "testdata/incident/wrong"]);
    assert_eq!(code, 1);
    let arm64 = &report["images"][0]["platforms"][1];
    let finding = &arm64["findings"][0];
    assert_eq!(finding["code"], "entrypoint-wrong-arch");
    assert_eq!(finding["path"], "/usr/local/bin/app");
    assert_eq!(finding["layer"]["index"], 1);
    assert_eq!(finding["layer"]["step"], "COPY bin/app /usr/local/bin/app");
    assert_eq!(report["images"][0]["platforms"][0]["verdict"], "fine");
    assert_eq!(json(&["scan", "testdata/incident/right"]).1, 0);
}

#[test]
fn the_table_fits_eighty_columns_and_carries_no_escape_when_piped() {
    let output = imgarch(&["scan", "testdata/incident/wrong"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("FAIL"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    let is_table = |line: &&str| line.starts_with("  ") && !line.starts_with("      ");
    for line in text.lines().take_while(|line| !line.starts_with("error[")).filter(is_table) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for part in ["exec format error", "layer 2 of 2", "COPY bin/app", "hint:", "exit 1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn usage_errors_are_exit_code_2_and_name_the_cause() {
    for (arguments, part) in [
        (&["scan", "--target", "linux/z80", "x"][..], "z80"),
        (&["scan", "--platform", "linux/z80", "x"], "z80"),
        (&["scan", "--format", "yaml", "x"], "yaml"),
        (&["scan", "--off", "nonsense", "x"], "nonsense"),
        (&["scan"], "IMAGE"),
        (&["scan", "-", "--images-from", "-"], "more than once"),
        (&["scan", "--images-from", "testdata/none-such"], "testdata/none-such"),
        (&["explain", "none-such"], "none-such"),
    ] {
        let output = imgarch(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    }
}

#[test]
fn a_list_of_images_may_have_comments_blank_lines_and_windows_line_ends() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("images");
    fs::write(&list, "\u{feff}testdata/incident/right\r\n# a comment\r\n\r\n  testdata/incident/wrong # the bad one")
        .unwrap();
    let (report, code) = json(&["scan", "--images-from", list.to_str().unwrap()]);
    let names: Vec<&str> =
        report["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect();
    assert_eq!((names.as_slice(), code), (&["testdata/incident/right", "testdata/incident/wrong"][..], 1));
    // A list that is not read to its end would leave images out.
    fs::write(&list, "# a comment\n".repeat(2 << 20)).unwrap();
    let output = imgarch(&["scan", "--images-from", list.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exceeds 16 MiB"));
}

#[test]
fn unreadable_images_are_exit_code_3_with_a_hint() {
    let output = imgarch(&["scan", "./testdata/none-such.tar"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("none-such.tar"), "{text}");
}

#[test]
fn a_reader_that_closes_early_does_not_change_the_exit_code() {
    let script =
        format!("({} scan testdata/incident/wrong --all --explain; echo $? >&2) | true", env!("CARGO_BIN_EXE_imgarch"));
    let output = Command::new("sh").args(["-c", &script]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), "1");
}

#[test]
fn every_code_is_explained() {
    let list = String::from_utf8(imgarch(&["explain"]).stdout).unwrap();
    assert!(list.lines().count() > 20);
    let rows = list.lines().filter(|line| !line.is_empty() && !line.ends_with(':'));
    let codes = rows.filter_map(|line| line.split_whitespace().next());
    for code in codes {
        let output = imgarch(&["explain", code]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("what ") && text.lines().count() >= 4, "{code}: {text}");
    }
}

/// A layer with these members: a path, and a file's bytes or a link's target. `-> ` before the target makes a symbolic
/// link, otherwise it is a hard link.
fn layer(members: &[(&str, Result<&[u8], &str>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        let bytes: &[u8] = content.unwrap_or_default();
        header.set_size(bytes.len() as u64);
        if let Err(target) = content {
            let symbolic = target.strip_prefix("-> ");
            let kind = if symbolic.is_some() { tar::EntryType::Symlink } else { tar::EntryType::Link };
            header.set_entry_type(kind);
            header.set_link_name(symbolic.unwrap_or(target)).unwrap();
        }
        // `set_path` would refuse a name that leads out of the root.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Codes of the findings for an image with these layers.
fn codes_of(layers: &[Vec<u8>]) -> Vec<String> {
    let report = report_of("amd64", layers, &[]);
    let findings = report["images"][0]["platforms"][0]["findings"].as_array();
    let findings = findings.unwrap_or_else(|| panic!("{report:#}"));
    findings.iter().map(|finding| finding["code"].as_str().unwrap().to_string()).collect()
}

/// The report for an image with these layers.
fn report_of(arch: &str, layers: &[Vec<u8>], flags: &[&str]) -> serde_json::Value {
    report_of_saved(&[("x:1", arch, layers)], flags)
}

/// The report for images in an archive as `docker save` writes it: name, architecture, layers.
fn report_of_saved(images: &[(&str, &str, &[Vec<u8>])], flags: &[&str]) -> serde_json::Value {
    let (mut list, mut members) = (Vec::new(), Vec::new());
    for (name, arch, layers) in images {
        let ids: Vec<String> = layers.iter().map(|layer| imgarch::oci::Digest::from_bytes(layer).to_string()).collect();
        let config = serde_json::json!({
            "architecture": arch, "os": "linux", "config": {"Entrypoint": ["/app"]},
            "rootfs": {"type": "layers", "diff_ids": ids},
        });
        let names: Vec<String> = ids.iter().map(|id| format!("{id}.tar")).collect();
        list.push(serde_json::json!({"Config": format!("{name}.json"), "RepoTags": [name], "Layers": names}));
        members.push((format!("{name}.json"), config.to_string().into_bytes()));
        members.extend(names.into_iter().zip(layers.iter().cloned()));
    }
    members.push(("manifest.json".to_string(), serde_json::Value::from(list).to_string().into_bytes()));
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in &members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.tar");
    fs::write(&path, builder.into_inner().unwrap()).unwrap();
    let place = format!("docker-archive:{}", path.display());
    json(&[&["scan", &place], flags].concat()).0
}

#[test]
fn images_saved_together_are_distinguished_by_their_names() {
    let (right, wrong) = ([layer(&[("app", Ok(&amd64()))])], [layer(&[("app", Ok(&ElfBuilder::arm64().build()))])]);
    let report = report_of_saved(&[("user/right:1", "amd64", &right), ("user/wrong:1", "amd64", &wrong)], &[]);
    let platforms = report["images"][0]["platforms"].as_array().unwrap();
    let verdicts: Vec<_> = platforms.iter().map(|platform| (&platform["image"], &platform["verdict"])).collect();
    assert_eq!(verdicts, [(&"user/right:1".into(), &"fine".into()), (&"user/wrong:1".into(), &"broken".into())]);
    assert!(report_of("amd64", &right, &[])["images"][0]["platforms"][0]["image"].is_null());
}

#[test]
fn layers_that_engines_cannot_unpack_are_reported() {
    let app = amd64();
    let tool = layer(&[("tool", Ok(&app))]);
    assert_eq!(codes_of(&[tool.clone(), layer(&[("app", Err("tool"))])]), ["hard-link-across-layers"]);
    assert_eq!(codes_of(&[layer(&[("app", Err("tool")), ("tool", Ok(&app))])]), ["hard-link-across-layers"]);
    assert_eq!(codes_of(&[layer(&[("tool", Ok(&app)), ("app", Err("tool"))])]), [""; 0]);
    let is_odd = |entries: &[(&str, Result<&[u8], &str>)]| codes_of(&[tool.clone(), layer(entries)]);
    assert_eq!(is_odd(&[("app", Ok(&app)), ("../x", Ok(b""))]), ["odd-layer"]);
    // A path that is listed twice, a whiteout of the layer's own file, and a whiteout of nothing.
    assert_eq!(is_odd(&[("app", Ok(b"x")), ("app", Ok(&app))]), ["odd-layer"]);
    assert_eq!(is_odd(&[("app", Ok(&app)), (".wh.app", Ok(b""))]), ["odd-layer"]);
    assert_eq!(is_odd(&[("app", Ok(&app)), (".wh.tool", Ok(b"")), (".wh.tool", Ok(b""))]), ["odd-layer"]);
    assert_eq!(is_odd(&[("app", Ok(&app)), ("a/.wh.", Ok(b""))]), ["odd-layer"]);
    assert_eq!(is_odd(&[("app", Ok(&app)), (".wh.tool", Ok(b"")), ("tool", Ok(b"x"))]), [""; 0]);
}

#[test]
fn an_entry_below_a_lower_layers_link_hides_what_was_reached_through_it() {
    let app = amd64();
    let base = layer(&[("usr/bin/app", Ok(&app)), ("bin", Err("-> usr/bin")), ("app", Err("-> bin/app"))]);
    assert_eq!(codes_of(std::slice::from_ref(&base)), [""; 0]);
    assert_eq!(codes_of(&[base, layer(&[("bin/tool", Ok(&app))])]), ["entrypoint-not-found", "odd-layer"]);
}

#[test]
fn an_unknown_platform_is_named_with_the_architecture_of_its_programs() {
    let layers = [layer(&[("app", Ok(&amd64()))])];
    for (arch, words) in [("zork", "linux/zork is not a known platform"), ("", "neither an index nor the config")] {
        let report = report_of(arch, &layers, &[]);
        assert_eq!(report["exit_code"], 3, "{report:#}");
        let problem = &report["images"][0]["platforms"][0]["problems"][0];
        assert!(problem["text"].as_str().unwrap().starts_with(words), "{problem}");
        assert!(problem["hint"].as_str().unwrap().contains("--target linux/amd64"), "{problem}");
        assert_eq!(report_of(arch, &layers, &["--target", "linux/amd64"])["exit_code"], 0, "{arch}");
    }
}

#[test]
fn a_missing_platform_is_reported_next_to_one_that_is_found() {
    let layers = [layer(&[("app", Ok(&amd64()))])];
    let report = report_of("amd64", &layers, &["--platform", "linux/amd64", "--platform", "linux/s390x"]);
    assert_eq!((&report["exit_code"], &report["summary"]["platforms"]), (&3.into(), &1.into()), "{report:#}");
    let text = report["images"][0]["problems"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("no image for linux/s390x") && text.ends_with("it contains linux/amd64"), "{text}");
}
