//! Builds a tree from packages that are extracted but not configured, so that no emulator is needed. Every tool uses
//! the package sources of its own configuration.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::expected::{Base, Libc, Tree};
use super::faults;
use crate::kit::engines::MIRROR;

/// The root file system of `tree`. If `directory` already contains it, only what programs left in it is deleted.
pub fn build(directory: &Path, tree: &Tree) -> PathBuf {
    let root = directory.join(tree.name);
    if root.exists() {
        clear(&root);
        return root;
    }
    let part = directory.join(format!("{}.part", tree.name));
    let _ = std::fs::remove_dir_all(&part);
    debian(directory, tree, &part);
    if !tree.pip.is_empty() {
        pip(tree, &part);
    }
    if !tree.npm.is_empty() {
        npm(tree, &part);
    }
    for put in tree.made {
        faults::make(&part, tree, put);
    }
    clear(&part);
    std::fs::rename(&part, &root).unwrap();
    root
}

/// Deletes what only running programs create. cron, for example, skips `@reboot` if its file in `run` exists.
fn clear(root: &Path) {
    for directory in ["run", "tmp"].map(|name| root.join(name)).iter().filter(|directory| directory.exists()) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_directory = path.is_dir() && !path.is_symlink();
            if is_directory { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
        }
    }
}

fn debian(directory: &Path, tree: &Tree, root: &Path) {
    let own = tree.architectures.split(',').next().unwrap();
    let mut include: String = tree.packages.iter().map(|package| format!(" --include={package}")).collect();
    if tree.base == Base::Debian {
        include.push_str(&format!(" --include='?and(?priority(required),?architecture({own}))'"));
    }
    let script = format!(
        "rm -rf {0}; mmdebstrap --quiet --variant=extract --architectures={1} --mode=root --aptopt='Acquire::Languages \"none\"' \
         --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr {include} {2} {0} \"$({MIRROR})\"",
        root.display(),
        tree.architectures,
        tree.suite,
    );
    run(tree, Command::new("sh").args(["-c", &script]).env("TMPDIR", directory));
}

/// Wheels for another platform than this machine's, as `docker buildx` would install them.
fn pip(tree: &Tree, root: &Path) {
    let machine = if tree.target == "linux/arm64" { "aarch64" } else { "x86_64" };
    let mut command = Command::new("python3");
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary=:all:",
        "--implementation=cp",
        "--python-version=3.11",
    ]);
    command.args(["--ignore-installed", "--no-compile", "--root-user-action=ignore"]);
    command.arg("--target").arg(root.join("usr/local/lib/python3.11/dist-packages"));
    let tags: &[&str] = match tree.libc {
        Libc::Glibc => &["manylinux_2_17", "manylinux_2_27", "manylinux_2_28", "manylinux_2_34", "manylinux2014"],
        Libc::Musl => &["musllinux_1_1", "musllinux_1_2"],
    };
    command.args(tags.iter().map(|tag| format!("--platform={tag}_{machine}")));
    run(tree, command.args(tree.pip));
}

fn npm(tree: &Tree, root: &Path) {
    let cpu = if tree.target == "linux/arm64" { "arm64" } else { "x64" };
    let app = root.join("srv/app");
    std::fs::create_dir_all(&app).unwrap();
    std::fs::write(app.join("package.json"), "{\"private\": true}\n").unwrap();
    let mut command = Command::new("npm");
    // A package's install script would build or download for this machine.
    command.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--os=linux"]);
    let libc = if tree.libc == Libc::Glibc { "glibc" } else { "musl" };
    run(tree, command.args([format!("--libc={libc}"), format!("--cpu={cpu}")]).args(tree.npm).current_dir(app));
}

/// Maximum number of attempts of a tool that downloads packages: mirrors and registries fail now and then.
const ATTEMPTS: u64 = 4;

/// Runs a tool until it succeeds.
fn run(tree: &Tree, command: &mut Command) {
    let mut said = String::new();
    for attempt in 1..=ATTEMPTS {
        let output = command.output().unwrap_or_else(|error| panic!("{}: {command:?}: {error}", tree.name));
        if output.status.success() {
            return;
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        eprintln!("{}: attempt {attempt} of {ATTEMPTS} failed: {}", tree.name, said.lines().last().unwrap_or_default());
        std::thread::sleep(std::time::Duration::from_secs(attempt * 10));
    }
    panic!("{}: could not download its packages: {command:?}: {said}", tree.name);
}
