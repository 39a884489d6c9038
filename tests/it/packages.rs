//! The packages that a release makes of its archives: wheels, npm packages, Debian packages and the Homebrew formula. The
//! program in them is a script, so nothing large is packed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::kit::machine::{Need, PATH, has};

const VERSION: &str = "0.1.0";
const TARGETS: &[&str] = &["x86_64-unknown-linux-musl", "aarch64-apple-darwin"];

fn succeeds(command: &mut Command) -> String {
    let output = command.env("PATH", PATH).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Writes the archives of a release, each with a program that prints its arguments.
fn archives(directory: &Path) {
    let files = directory.join("files");
    fs::create_dir_all(&files).unwrap();
    for name in ["LICENSE", "README.md", "imgarch.1", "imgarch-scan.1", "imgarch.bash", "imgarch.zsh", "imgarch.fish"] {
        fs::write(files.join(name), name).unwrap();
    }
    fs::write(files.join("imgarch"), "#!/bin/sh\necho \"ran $*\"\nexit 3\n").unwrap();
    for target in TARGETS {
        let archive = directory.join(format!("imgarch-{target}.tar.gz"));
        succeeds(Command::new("tar").arg("-czf").arg(archive).arg("-C").arg(&files).arg("."));
    }
}

fn pack(kind: &str, directory: &Path) -> Vec<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/packages/pack.py");
    let out = directory.join(kind);
    let written = succeeds(Command::new("python3").arg(script).args([kind, VERSION]).arg(directory).arg(&out));
    written.lines().map(PathBuf::from).collect()
}

/// Whether the packed program starts with its arguments and its exit code.
#[track_caller]
fn check_starts(command: &mut Command) {
    let output = command.args(["scan", "a b"]).env("PATH", PATH).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!((text.as_ref(), output.status.code()), ("ran scan a b\n", Some(3)), "{command:?}");
}

#[test]
fn a_wheel_has_the_program_and_a_valid_record() {
    if !has("packages", &[Need::Python]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    archives(directory.path());
    let wheels = pack("wheels", directory.path());
    assert_eq!(wheels.len(), TARGETS.len());
    let tree = directory.path().join("tree");
    succeeds(Command::new("python3").args(["-m", "zipfile", "-e"]).args([&wheels[0], &tree]));
    let program = tree.join(format!("imgarch-{VERSION}.data/scripts/imgarch"));
    check_starts(Command::new("sh").arg(program));
    let check = "import base64,csv,hashlib,pathlib,sys\nroot=pathlib.Path(sys.argv[1])\nfor name,digest,size in \
                 csv.reader(open(root/sys.argv[2]/'RECORD')):\n data=(root/name).read_bytes()\n want='sha256='+\
                 base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()\n \
                 assert not digest or (digest==want and int(size)==len(data)), name\n print(name)";
    let info = format!("imgarch-{VERSION}.dist-info");
    let listed = succeeds(Command::new("python3").args(["-c", check]).arg(&tree).arg(&info));
    assert_eq!(listed.lines().count(), 5, "{listed}");
    let wheel = fs::read_to_string(tree.join(info).join("WHEEL")).unwrap();
    assert!(wheel.contains("Tag: py3-none-musllinux_1_1_x86_64\n"), "{wheel}");
}

#[test]
fn npm_packages_name_each_other_and_the_launcher_finds_the_binary() {
    if !has("packages", &[Need::Python]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    archives(directory.path());
    let packages = pack("npm", directory.path());
    let modules = directory.path().join("node_modules");
    let mut manifests = Vec::new();
    for package in &packages {
        let tree = tempfile::tempdir_in(directory.path()).unwrap().keep();
        succeeds(Command::new("tar").arg("-xzf").arg(package).arg("-C").arg(&tree));
        let manifest: Value =
            serde_json::from_str(&fs::read_to_string(tree.join("package/package.json")).unwrap()).unwrap();
        let home = modules.join(manifest["name"].as_str().unwrap());
        fs::create_dir_all(home.parent().unwrap()).unwrap();
        fs::rename(tree.join("package"), home).unwrap();
        manifests.push(manifest);
    }
    let (main, platforms) = manifests.split_last().unwrap();
    let named: Vec<&String> = main["optionalDependencies"].as_object().unwrap().keys().collect();
    assert_eq!(named, ["@imgarch/darwin-arm64", "@imgarch/linux-x64"]);
    assert!(platforms.iter().all(|one| one["version"] == main["version"] && one["os"].is_array()));
    // Node.js is not among the packages that the tests install.
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) && Path::new("/usr/bin/node").exists() {
        check_starts(Command::new("node").arg(modules.join("imgarch").join(main["bin"]["imgarch"].as_str().unwrap())));
    }
}

#[test]
fn a_debian_package_is_read_by_dpkg() {
    if !has("packages", &[Need::Python, Need::Debian]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    archives(directory.path());
    let packages = pack("debs", directory.path());
    assert_eq!(packages.len(), 1, "only Linux has Debian packages");
    let fields = succeeds(Command::new("dpkg-deb").arg("--field").arg(&packages[0]).args(["Package", "Architecture"]));
    assert_eq!(fields, "Package: imgarch\nArchitecture: amd64\n");
    let tree = directory.path().join("root");
    succeeds(Command::new("dpkg-deb").arg("--extract").args([&packages[0], &tree]));
    check_starts(&mut Command::new(tree.join("usr/bin/imgarch")));
    for file in ["share/man/man1/imgarch-scan.1", "share/bash-completion/completions/imgarch"] {
        assert!(tree.join("usr").join(file).is_file(), "{file}");
    }
}

#[test]
fn the_formula_has_the_checksum_of_each_archive() {
    if !has("packages", &[Need::Python]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    archives(directory.path());
    let formula = fs::read_to_string(&pack("formula", directory.path())[0]).unwrap();
    for target in TARGETS {
        let archive = fs::read(directory.path().join(format!("imgarch-{target}.tar.gz"))).unwrap();
        let digest = imgarch::oci::Digest::from_bytes(&archive).to_string();
        assert!(formula.contains(&format!("sha256 \"{}\"", digest.trim_start_matches("sha256:"))), "{formula}");
    }
}
