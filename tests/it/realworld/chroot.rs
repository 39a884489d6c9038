//! Runs commands in a chroot of a tree with the files of a case on top.

use std::fs::{create_dir, create_dir_all};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::expected::Tree;
use super::faults::{self, Put};

/// A tree with the files of a case on top. What a command writes is deleted with it.
pub struct Chroot {
    directory: TempDir,
    mount: String,
}

impl Chroot {
    pub fn new<'a>(directory: &Path, root: &Path, tree: &Tree, puts: impl IntoIterator<Item = &'a Put>) -> Chroot {
        let directory = tempfile::tempdir_in(directory).unwrap();
        let [upper, work, merged] = ["upper", "work", "merged"].map(|name| directory.path().join(name));
        [&upper, &work, &merged].into_iter().for_each(|place| create_dir(place).unwrap());
        for put in puts {
            match put {
                Put::Gone(path) => {
                    let path = upper.join(path);
                    create_dir_all(path.parent().unwrap()).unwrap();
                    assert!(Command::new("mknod").arg(path).args(["c", "0", "0"]).status().unwrap().success());
                }
                put => faults::make_on(&upper, root, tree, put),
            }
        }
        let mount = format!("lowerdir={},upperdir={},workdir={}", root.display(), upper.display(), work.display());
        Chroot { directory, mount }
    }

    /// The directory that a file on top of the tree is in.
    pub fn upper(&self) -> PathBuf {
        self.directory.path().join("upper")
    }

    /// A command in the chroot with only these variables. Only its processes see the mounts, which end with them.
    pub fn command(&self, env: &[&str], working_dir: &str, call: &[&str]) -> Command {
        let script = "mount -t overlay overlay -o \"$0\" \"$1\" && mount -t proc proc \"$1/proc\" \
                      && mount --bind /dev \"$1/dev\" && shift && exec chroot \"$@\"";
        let merged = self.directory.path().join("merged");
        create_dir_all(self.upper().join(working_dir.trim_start_matches('/'))).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount", "--kill-child", "sh", "-c", script, &self.mount]);
        command.arg(&merged).arg(&merged).args(["/usr/bin/env", "-i", "-C", working_dir, "HOME=/root"]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").args(env).args(call);
        command
    }
}
