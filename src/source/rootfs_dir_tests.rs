use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// `path kind content-or-target` of all that is met.
fn met(root: &Path) -> (Vec<String>, Walked) {
    let mut lines = Vec::new();
    let walked = walk(root, Mounts::Followed, &mut |met, content| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        let kind = match met.kind {
            MetKind::File if read.is_err() => "file unreadable".to_string(),
            MetKind::File => format!("file {}", text(&bytes)),
            MetKind::Directory => "directory".to_string(),
            MetKind::Symlink(target) => format!("symlink {}", text(target)),
            MetKind::HardLink(target) => format!("hard link {}", text(target)),
            MetKind::Special => "special".to_string(),
        };
        lines.push(format!("{} {kind}", text(met.path)));
        ControlFlow::Continue(())
    });
    (lines, walked.unwrap())
}

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("usr/bin")).unwrap();
    std::fs::write(at("usr/bin/a"), "program").unwrap();
    std::fs::hard_link(at("usr/bin/a"), at("usr/bin/b")).unwrap();
    symlink("../bin/a", at("usr/bin/c")).unwrap();
    symlink("usr/bin", at("bin")).unwrap();
    symlink("/", at("usr/up")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    folder
}

#[test]
fn links_are_met_and_never_followed_and_a_fifo_does_not_block() {
    let folder = tree();
    let (lines, walked) = met(folder.path());
    let expected = [
        "bin symlink usr/bin",
        "fifo special",
        "usr directory",
        "usr/bin directory",
        "usr/up symlink /",
        "usr/bin/a file program",
        "usr/bin/b hard link usr/bin/a",
        "usr/bin/c symlink ../bin/a",
    ];
    assert_eq!(lines, expected);
    assert!(walked.unread.is_empty() && walked.left_out.is_empty());
}

#[test]
fn the_root_may_be_named_by_a_link_and_must_be_a_folder() {
    let folder = tree();
    let outside = tempfile::tempdir().unwrap();
    symlink(folder.path(), outside.path().join("root")).unwrap();
    assert_eq!(met(&outside.path().join("root")).0.len(), 8);
    let file = walk(&folder.path().join("usr/bin/a"), Mounts::Followed, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(file, Err(SourceError::File { .. })));
}

#[test]
fn kernel_file_systems_are_not_entered_where_they_are_mounted() {
    // devpts, which always holds a ptmx, is mounted on a folder of /dev.
    assert!(Path::new("/dev/pts/ptmx").exists());
    for mounts in [Mounts::Followed, Mounts::LeftOut] {
        let mut met_pts = false;
        let walked = walk(Path::new("/dev"), mounts, &mut |met, _| {
            assert!(!met.path.starts_with(b"pts/"), "{:?}", String::from_utf8_lossy(met.path));
            met_pts |= met.path == b"pts";
            ControlFlow::Continue(())
        });
        assert!(met_pts && !walked.unwrap().left_out.contains(&b"pts".to_vec()));
    }
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_met() {
    let folder = tree();
    let path = folder.path().join("usr/bin/a");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    // Root reads it nevertheless.
    let is_readable = File::open(&path).is_ok();
    let (lines, walked) = met(folder.path());
    assert_eq!(lines.len(), 8);
    assert_eq!(walked.unread.iter().any(|unread| unread.path == b"usr/bin/a"), !is_readable);
}

#[test]
fn what_is_deeper_than_any_path_is_unread() {
    let folder = tree();
    let mut fd = openat(rustix::fs::CWD, folder.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    let name = "d".repeat(250);
    for _ in 0..20 {
        rustix::fs::mkdirat(&fd, &name, 0o755.into()).unwrap();
        fd = openat(&fd, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let (lines, walked) = met(folder.path());
    assert_eq!(lines.len(), 8 + PATH_LIMIT / 251);
    assert!(walked.unread[0].path.len() > PATH_LIMIT);
}

#[test]
fn a_visitor_can_break_off() {
    let folder = tree();
    let mut count = 0;
    walk(folder.path(), Mounts::Followed, &mut |_, _| {
        count += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(count, 1);
}

/// A file with another file mounted on it, in a mount namespace of its own: the test runs itself again in there.
#[test]
fn a_file_that_is_mounted_is_left_out_unless_mounts_are_followed() {
    const INSIDE: &str = "IMGARCH_TEST_MOUNTED";
    if let Some(root) = std::env::var_os(INSIDE) {
        let root = Path::new(&root);
        let names = |mounts| {
            let mut names = Vec::new();
            let walked = walk(root, mounts, &mut |met, _| {
                names.push(String::from_utf8_lossy(met.path).into_owned());
                ControlFlow::Continue(())
            });
            (names, walked.unwrap().covered)
        };
        assert_eq!(names(Mounts::LeftOut), (vec!["own".to_string()], vec![b"mounted".to_vec()]));
        assert_eq!(names(Mounts::Followed).0, ["mounted", "own"]);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("root")).unwrap();
    for name in ["root/own", "root/mounted", "other"] {
        std::fs::write(at(name), "x").unwrap();
    }
    let script = "mount --bind other root/mounted || exit 77; exec \"$0\" \"$@\"";
    let test = std::thread::current().name().unwrap().to_string();
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(std::env::current_exe().unwrap());
    let output = command.args(["--exact", &test]).env(INSIDE, at("root")).current_dir(folder.path()).output();
    match output {
        Ok(output) if output.status.success() => {
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the test ran inside");
        }
        Ok(output) if output.status.code() == Some(77) || output.status.code() == Some(1) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(text.contains("Operation not permitted") || text.contains("permission denied"), "{output:?}");
        }
        other => panic!("{other:?}"),
    }
}
