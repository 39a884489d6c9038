//! Which commands may install programs that a script starts later.

use super::is_known;
use crate::exec::log::{Link, OpenedFile};

/// Package managers, downloaders, archivers, compilers, and programs that copy files or run others.
const INSTALLERS: &[&str] = &[
    "7z",
    "ansible",
    "apk",
    "apt",
    "apt-get",
    "ar",
    "aria2c",
    "asdf",
    "aws",
    "az",
    "base64",
    "brew",
    "bsdtar",
    "bun",
    "bundle",
    "busybox",
    "bzip2",
    "cargo",
    "cc",
    "chroot",
    "clang",
    "cmake",
    "composer",
    "conda",
    "corepack",
    "cp",
    "cpio",
    "curl",
    "dd",
    "deno",
    "dnf",
    "docker",
    "dpkg",
    "flatpak",
    "ftp",
    "g++",
    "gcc",
    "gcloud",
    "gem",
    "git",
    "go",
    "gsutil",
    "gunzip",
    "gzip",
    "helm",
    "hg",
    "install",
    "kubectl",
    "ld",
    "ln",
    "make",
    "mamba",
    "mc",
    "microdnf",
    "micromamba",
    "mise",
    "mount",
    "mv",
    "nfs",
    "ninja",
    "nix",
    "npm",
    "npx",
    "nvm",
    "openssl",
    "pacman",
    "pip",
    "pip3",
    "pipenv",
    "pipx",
    "pnpm",
    "poetry",
    "puppet",
    "rclone",
    "rpm",
    "rsync",
    "rustup",
    "s3cmd",
    "salt-call",
    "scp",
    "sdk",
    "sftp",
    "snap",
    "sudo",
    "svn",
    "tar",
    "tdnf",
    "tee",
    "unxz",
    "unzip",
    "update-alternatives",
    "uv",
    "wget",
    "xz",
    "yarn",
    "yum",
    "zstd",
    "zypper",
    "sh",
    "bash",
    "dash",
    "ash",
    "ksh",
    "zsh",
];
/// Parts of words that say that something is installed.
const PARTS: &[&str] = &[
    "install",
    "setup",
    "bootstrap",
    "download",
    "fetch",
    "unpack",
    "extract",
    "update",
    "upgrade",
    "build",
    "plugin",
    "provision",
];

/// Whether a command that ran may have installed programs: by its words, or because it is a script.
pub(super) fn may_install(argv: &[String], steps: &[OpenedFile]) -> bool {
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_ascii_lowercase();
    let is_script = steps.iter().any(|step| step.link == Link::Shebang);
    let names_one =
        |word: &str| INSTALLERS.contains(&base(word).as_str()) || PARTS.iter().any(|part| word.contains(part));
    is_script || argv.iter().any(|word| !is_known(word) || word.split_whitespace().any(names_one))
}

#[cfg(test)]
mod tests {
    use super::may_install;

    #[test]
    fn a_command_without_words_for_it_installs_nothing() {
        let check = |line: &str, expected: bool| {
            let argv: Vec<String> = line.split(' ').map(str::to_string).collect();
            assert_eq!(may_install(&argv, &[]), expected, "{line}");
        };
        check("pg_isready -h db", false);
        check("python3 manage.py migrate", false);
        check("/opt/app/hook", false);
        check("python3 -m pip install x", true);
        check("/opt/app/install-tools", true);
        check("gosu app apt-get update", true);
        check("sh -c x", true);
    }
}
