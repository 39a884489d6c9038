use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// One line per entry: path, kind, and content or target.
fn met(root: &Path) -> (Vec<String>, Walked) {
    let mut lines = Vec::new();
    let walked = walk(root, Mounts::Followed, &mut |met, content| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        let kind = match met.kind {
            WalkEntryKind::File if read.is_err() => "file unreadable".to_string(),
            WalkEntryKind::File => format!("file {}", text(&bytes)),
            WalkEntryKind::Directory => "directory".to_string(),
            WalkEntryKind::Symlink(target) => format!("symlink {}", text(target)),
            WalkEntryKind::HardLink(target) => format!("hard link {}", text(target)),
            WalkEntryKind::Special => "special".to_string(),
        };
        lines.push(format!("{} {kind}", text(met.path)));
        ControlFlow::Continue(())
    });
    (lines, walked.unwrap())
}

fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(at("usr/bin")).unwrap();
    std::fs::write(at("usr/bin/a"), "program").unwrap();
    std::fs::hard_link(at("usr/bin/a"), at("usr/bin/b")).unwrap();
    symlink("../bin/a", at("usr/bin/c")).unwrap();
    symlink("usr/bin", at("bin")).unwrap();
    symlink("/", at("usr/up")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), FileType::Fifo, 0o600.into(), 0).unwrap();
    directory
}

#[test]
fn links_are_met_and_never_followed_and_a_fifo_does_not_block() {
    let directory = tree();
    let (lines, walked) = met(directory.path());
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
fn the_root_may_be_named_by_a_link_and_must_be_a_directory() {
    let directory = tree();
    let outside = tempfile::tempdir().unwrap();
    symlink(directory.path(), outside.path().join("root")).unwrap();
    assert_eq!(met(&outside.path().join("root")).0.len(), 8);
    let file = walk(&directory.path().join("usr/bin/a"), Mounts::Followed, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(file, Err(SourceError::File { .. })));
}

#[test]
fn kernel_file_systems_are_not_entered_where_they_are_mounted() {
    // devpts, which always contains a ptmx, is mounted on a directory of /dev.
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
fn unreadable_entries_are_reported_and_the_others_are_visited() {
    let directory = tree();
    let path = directory.path().join("usr/bin/a");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    // Root can read it anyway.
    let is_readable = File::open(&path).is_ok();
    let (lines, walked) = met(directory.path());
    assert_eq!(lines.len(), 8);
    assert_eq!(walked.unread.iter().any(|unread| unread.path == b"usr/bin/a"), !is_readable);
}

#[test]
fn entries_deeper_than_any_path_are_unread() {
    let directory = tree();
    let mut fd = openat(rustix::fs::CWD, directory.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
    let name = "d".repeat(250);
    for _ in 0..20 {
        rustix::fs::mkdirat(&fd, &name, 0o755.into()).unwrap();
        fd = openat(&fd, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let (lines, walked) = met(directory.path());
    assert_eq!(lines.len(), 8 + PATH_LIMIT / 251);
    assert!(walked.unread[0].path.len() > PATH_LIMIT);
}

#[test]
fn a_visitor_can_stop_the_walk() {
    let directory = tree();
    let mut count = 0;
    walk(directory.path(), Mounts::Followed, &mut |_, _| {
        count += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(count, 1);
}

/// A file with another file mounted over it, in a separate mount namespace: the test runs itself again in it.
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
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("root")).unwrap();
    for name in ["root/own", "root/mounted", "other"] {
        std::fs::write(at(name), "x").unwrap();
    }
    let script = "mount --bind other root/mounted || exit 77; exec \"$0\" \"$@\"";
    let test = std::thread::current().name().unwrap().to_string();
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(std::env::current_exe().unwrap());
    let output = command.args(["--exact", &test]).env(INSIDE, at("root")).current_dir(directory.path()).output();
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
