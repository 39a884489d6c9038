//! Attacks on the program: each ends with a clear answer, within limits of CPU time and memory that the kernel enforces.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use imgarch::oci::Digest;
use serde_json::{Value, json};

use crate::kit::elf::ElfBuilder;
use crate::kit::registry::{FakeRegistry, Fault};
use crate::kit::small::{LayoutWriter, Small, TAR_GZIP, said, write_layout};
use crate::kit::soci::{ZtocEntry, ZtocWriter, compress};

/// Seconds of CPU time. Debug builds are several times slower.
const SECONDS: u32 = if cfg!(debug_assertions) { 20 } else { 2 };
/// KiB of writable private memory, without the pages of files.
const KIB: u32 = 128 << 10;

/// Runs the program within these limits.
fn limited(directory: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let script = format!("ulimit -t {SECONDS} && ulimit -d {KIB} && exec \"$@\"");
    Command::new("sh")
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_imgarch")])
        .args(args)
        .current_dir(directory)
        .env_clear()
        .envs([("HOME", directory.as_os_str()), ("PATH", "/usr/bin:/bin".as_ref())])
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs the program, and checks the exit code and a part of the output.
fn check(directory: &Path, args: &[&str], env: &[(&str, &str)], (code, part): (i32, &str)) {
    let output = limited(directory, args, env);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    assert!(text.contains(part), "{args:?}: {text}");
}

fn pipe(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

fn gzip(write: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write(&mut encoder);
    encoder.finish().unwrap()
}

/// A layout of one layer, whose descriptor states `size`.
fn layout_of(directory: &Path, layer: &[u8], size: u64) {
    let layout = LayoutWriter::new(directory);
    let mut layer = layout.put(TAR_GZIP, layer);
    layer["size"] = json!(size);
    let config = layout.config("amd64", config_of(b"unknown"));
    layout.finish(vec![layout.manifest(config, vec![layer], Value::Null)]);
}

/// The fields of a config that starts /app from one layer.
fn config_of(tar: &[u8]) -> Value {
    let rootfs = json!({"type": "layers", "diff_ids": [Digest::from_bytes(tar).as_str()]});
    json!({"config": {"Cmd": ["/app"]}, "rootfs": rootfs})
}

#[test]
fn hostile_start_scripts_end() {
    let cycle = (0..20).map(|at| (format!("s{at}"), format!("/s{} a; /s{} b\n", (at + 1) % 20, (at + 1) % 20)));
    let doubled = [("s0".to_string(), format!("X=xxxxxxxx\n{}exec \"$X\"\n", "X=$X$X\n".repeat(300)))];
    let fan = (0..20).map(|at| (format!("s{at}"), format!("/s{0} a; /s{0} b; /s{0} c; /s{0} d\n", at + 1)));
    // A value of 32 KB, and tools that would print or compare far more.
    let long = format!("X={}\nX=$X$X$X$X$X$X$X$X\n", "ab".repeat(2000));
    let tools = [
        "grep -E '(a|b)*b(a|b){280}c'",
        "sed 's/a.*c\\|a/d/g'",
        &format!("sed '{}'", "p;".repeat(4000)),
        &format!("sed 's/.*/{}/'", "&".repeat(8000)),
        &format!("tr '{}' x", "cdefghi".repeat(400)),
    ];
    let tools = tools
        .map(|tool| [("s0".to_string(), format!("{long}{}exec /app\n", format!("Y=$(echo $X | {tool})\n").repeat(5)))]);
    let compared = "[[ $X =~ (a|b)*b(a|b){280}c ]] && exit\n".repeat(180);
    let compared = [("s0".to_string(), format!("{long}{compared}exec /app\n"))];
    let scripts = [cycle.collect::<Vec<_>>(), fan.collect(), doubled.to_vec(), compared.to_vec()];
    for scripts in scripts.into_iter().chain(tools.map(|scripts| scripts.to_vec())) {
        let directory = tempfile::tempdir().unwrap();
        let mut image = Small::new("amd64", ElfBuilder::amd64().build());
        image.entrypoint = "/s0";
        for tool in ["bash", "grep", "sed", "tr"] {
            image = image.file(&format!("bin/{tool}"), 0o755, ElfBuilder::amd64().build());
        }
        for (name, text) in scripts {
            image = image.file(&name, 0o755, format!("#!/bin/bash\n{text}").into_bytes());
        }
        write_layout(directory.path(), &[image]);
        let output = limited(directory.path(), &["scan", "--no-cache", "."], &[]);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    }
}

#[test]
fn hostile_layers_end_at_a_named_limit() {
    let directory = tempfile::tempdir().unwrap();
    let bomb = gzip(|out| (0..400).for_each(|_| out.write_all(&[0; 1 << 20]).unwrap()));
    let names = gzip(|out| {
        let mut tar = tar::Builder::new(out);
        for number in 0..60_000u64 {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            let name = Digest::from_bytes(&number.to_le_bytes()).hex().to_string();
            tar.append_data(&mut header, &name[..60], &b""[..]).unwrap();
        }
        tar.finish().unwrap();
    });
    type Variables<'v> = &'v [(&'v str, &'v str)];
    let cases: [(&[u8], u64, Variables<'_>, &str); 5] = [
        (&bomb, bomb.len() as u64, &[("IMGARCH_LAYER_BYTES", "100000000")], "layer-bytes"),
        (&names, names.len() as u64, &[("IMGARCH_IMAGE_MEMORY", "3000000")], "image-memory"),
        (&names, names.len() as u64, &[("IMGARCH_LAYER_NAMES", "50000")], "layer-names"),
        (&names, names.len() as u64 - 1, &[], "longer than the"),
        (&names, 1 << 62, &[], "4611686018427387904"),
    ];
    for (layer, size, env, part) in cases {
        layout_of(directory.path(), layer, size);
        check(directory.path(), &["scan", "--no-cache", "."], env, (3, part));
    }
}

/// A layout of one image whose SOCI index has this ztoc for its layer of `stored` bytes.
fn layout_with_ztoc(directory: &Path, tar: &[u8], stored: &[u8], ztoc: &[u8]) {
    let layout = LayoutWriter::new(directory);
    let layer = layout.put(TAR_GZIP, stored);
    let mut entry = layout.put("application/octet-stream", ztoc);
    entry["annotations"] = json!({"com.amazon.soci.image-layer-digest": layer["digest"]});
    let soci_config = layout.put("application/vnd.amazon.soci.index.v2+json", b"{}");
    let soci = layout.manifest(soci_config, vec![entry], Value::Null);
    let annotations = json!({"com.amazon.soci.index-digest": soci["digest"]});
    let config = layout.config("amd64", config_of(tar));
    layout.finish(vec![layout.manifest(config, vec![layer], annotations), soci]);
}

#[test]
fn hostile_ztocs_take_bounded_time_and_memory() {
    let image = Small::new("amd64", ElfBuilder::amd64().padding(2 << 20).build());
    let tar = image.layer();
    let (stored, checkpoints) = compress(&tar, 100_000, false, 1);
    assert!(stored.len() > 1 << 20, "no ztoc is read for a layer of {} bytes", stored.len());
    let digest = |bytes: &[u8]| Digest::from_bytes(bytes).to_string();
    let mut ztoc = ZtocWriter::new(&tar, &stored, checkpoints, digest);
    let entry = ZtocEntry { kind: "dir", size: 0, ..ztoc.entries[0].clone() };
    let mut listing = |count: i64| {
        let name = |at: i64| format!("{at:020}").into_bytes();
        ztoc.entries = (1..=count).map(|at| ZtocEntry { name: name(at), offset: 512 * at, ..entry.clone() }).collect();
        ztoc.content = 512 * (count + 1);
        let part = ztoc.content as u64 / ztoc.checkpoints.len() as u64;
        (0..).zip(&mut ztoc.checkpoints).for_each(|(at, own)| own.content = part * at);
        let written = ztoc.write();
        assert!(written.len() < 48 << 20, "its size is not the limit that is tested: {}", written.len());
        written
    };
    // A table of zeros, and the most entries that are accepted.
    let cases = [(vec![0; 48 << 20], 0), (listing(250_000), 1)];
    for (ztoc, code) in cases {
        let directory = tempfile::tempdir().unwrap();
        layout_with_ztoc(directory.path(), &tar, &stored, &ztoc);
        check(directory.path(), &["scan", "--no-cache", "--lazy", "."], &[], (code, ""));
    }
}

#[test]
fn hostile_registries_end_at_a_deadline() {
    let layer = Small::new("amd64", ElfBuilder::amd64().build()).layer();
    let busy = Fault::Status(429, &[("Retry-After", "1")], "");
    for (fault, part) in [(Fault::Endless, "longer than the"), (busy, "too many requests")] {
        let fake = FakeRegistry::start();
        let stored = fake.put_image("user/app", "v1", &layer);
        (0..100).for_each(|_| fake.plan(&stored.layer.to_string(), fault.clone()));
        let directory = tempfile::tempdir().unwrap();
        let image = format!("{}/user/app:v1", fake.host);
        check(directory.path(), &["scan", "--no-cache", "--deadline", "2", &image], &[], (3, part));
    }
}

#[test]
fn a_pipe_or_an_endless_device_is_refused_in_place_of_any_file() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write_layout(&at("image"), &[Small::new("amd64", ElfBuilder::amd64().build())]);
    pipe(&at("pipe"));
    fs::create_dir_all(at("project")).unwrap();
    pipe(&at("project/Dockerfile"));
    let waits = "no program writes to this named pipe";
    let refused = |args: &[&str], part: &str| {
        let output = limited(directory.path(), args, &[]);
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(2 | 3)) && text.contains(part), "{args:?}: {text}");
    };
    refused(&["scan", "--no-cache", "pipe"], waits);
    refused(&["lint", "project/Dockerfile"], waits);
    refused(&["lint", "/dev/zero"], "larger than");
    for option in ["--config", "--baseline", "--manifest", "--images-from", "--dockerfile", "--ca-cert"] {
        let image = if matches!(option, "--manifest" | "--images-from") { "--offline" } else { "image" };
        for (path, part) in [("pipe", waits), ("/dev/zero", "")] {
            refused(&["scan", "--no-cache", option, path, image], part);
        }
    }
    refused(&["diagnose", "--log", "pipe"], waits);
    refused(&["diagnose", "--log", "/dev/zero"], "it is a device");
    // A settings file that exists is never ignored.
    pipe(&at(".imgarch.toml"));
    refused(&["scan", "--no-cache", "image"], waits);
}

#[test]
fn a_cache_of_pipes_is_an_empty_cache() {
    let directory = tempfile::tempdir().unwrap();
    let image = Small::new("amd64", ElfBuilder::amd64().build());
    let digest = Digest::from_bytes(&image.layer());
    write_layout(&directory.path().join("image"), &[image]);
    let cache = directory.path().join("cache");
    for kind in ["blobs", "layers"] {
        let place = cache.join(kind).join("sha256").join(&digest.hex()[..2]);
        fs::create_dir_all(&place).unwrap();
        pipe(&place.join(digest.hex()));
    }
    let env = [("IMGARCH_CACHE_DIR", cache.to_str().unwrap())];
    check(directory.path(), &["scan", "image"], &env, (0, ""));
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let dockerfile = directory.path().join("Dockerfile");
    let text = "FROM --platform=linux/amd64 debian:12\nCMD [\"sh\"]\n";
    fs::write(&dockerfile, text).unwrap();
    // No file may grow beyond 0 bytes; the signal that the kernel sends for it is ignored, so that writes fail.
    let script = "trap '' XFSZ; ulimit -f 0 && exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_imgarch"), "lint", "--fix", "Dockerfile"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(fs::read_to_string(&dockerfile).unwrap(), text);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "{output:?}");
    assert_ne!(said(&output).1, 0, "{output:?}");
}
