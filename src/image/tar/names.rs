//! Converts names in tars into paths relative to the root, and interprets whiteout names.

/// The meaning of a path's last component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) enum Mark {
    Plain,
    /// Hides the entry of lower layers; the path is now the hidden one.
    Whiteout,
    /// Hides the contents of this directory in lower layers; the path is now the directory's.
    Opaque,
    /// aufs' own files, which engines discard.
    Ignored,
    /// Hides `.`, `..` or an empty name, which no engine can do.
    Impossible,
}

/// Replaces `path` with `name`, normalised: no leading slash, no `.`, and `..` clamped at the root. Returns true if
/// `..` would have left the root.
pub fn normalise(name: &[u8], path: &mut Vec<u8>) -> bool {
    path.clear();
    let plain = name.strip_prefix(b"./").unwrap_or(name);
    if is_normal(plain) {
        path.extend_from_slice(plain);
        return false;
    }
    let mut escapes = false;
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if path.is_empty() => escapes = true,
            b".." => {
                let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                path.truncate(parent);
            }
            _ => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    escapes
}

/// Whether a name certainly needs no change, like most names of files: no component is empty or starts with a dot.
fn is_normal(name: &[u8]) -> bool {
    let is_start = |byte: &u8| !matches!(byte, b'/' | b'.');
    let pairs = name.iter().zip(name.get(1..).unwrap_or_default());
    name.first().is_some_and(is_start)
        && name.last() != Some(&b'/')
        && pairs.fold(true, |all, (first, second)| all & ((*first != b'/') | is_start(second)))
}

/// Interprets and removes the whiteout marks of a normalised path. Source: OCI image-spec, layer.md, "Whiteouts":
/// `.wh.` prefixes the hidden name, and `.wh..wh..opq` is the opaque marker; docker's pkg/archive: `.wh..wh.` starts
/// aufs' own names.
pub(in crate::image) fn read_mark(path: &mut Vec<u8>) -> Mark {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let Some(hidden) = path[start..].strip_prefix(b".wh.") else {
        return if is_in_aufs_directory(path) { Mark::Ignored } else { Mark::Plain };
    };
    if hidden == b".wh..opq" {
        path.truncate(start.saturating_sub(1));
        return Mark::Opaque;
    }
    if hidden.starts_with(b".wh.") {
        return Mark::Ignored;
    }
    if matches!(hidden, b"" | b"." | b"..") {
        return Mark::Impossible;
    }
    path.drain(start..start + 4);
    Mark::Whiteout
}

/// aufs stores its directories (`.wh..wh.plnk`, `.wh..wh.orph`) at the root.
fn is_in_aufs_directory(path: &[u8]) -> bool {
    path.starts_with(b".wh..wh.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: &str, escapes: bool) {
        let mut path = b"old".to_vec();
        assert_eq!(normalise(name.as_bytes(), &mut path), escapes, "{name}");
        assert_eq!(String::from_utf8(path).unwrap(), expected, "{name}");
    }

    #[test]
    fn names_become_paths_below_the_root() {
        check("usr/bin/app", "usr/bin/app", false);
        check("./usr//bin/./app/", "usr/bin/app", false);
        check("/etc/passwd", "etc/passwd", false);
        check("a/../b", "b", false);
        check("a/b/../../c", "c", false);
        check("../../etc/passwd", "etc/passwd", true);
        check("a/../../b", "b", true);
        check("./", "", false);
        check("", "", false);
        check("a/..b/c..", "a/..b/c..", false);
        check("a/.b/", "a/.b", false);
        check("a", "a", false);
        check("/", "", false);
    }

    fn check_mark(path: &str, expected: &str, meaning: Mark) {
        let mut bytes = path.as_bytes().to_vec();
        assert_eq!(read_mark(&mut bytes), meaning, "{path}");
        assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{path}");
    }

    #[test]
    fn marks_contain_the_hidden_name() {
        check_mark("etc/.wh.passwd", "etc/passwd", Mark::Whiteout);
        check_mark(".wh.etc", "etc", Mark::Whiteout);
        check_mark("a/.wh..wh..opq", "a", Mark::Opaque);
        check_mark("a/b/.wh..wh..opq", "a/b", Mark::Opaque);
        check_mark(".wh..wh..opq", "", Mark::Opaque);
        check_mark("a/.wh..hidden", "a/.hidden", Mark::Whiteout);
        check_mark(".wh..wh.aufs", ".wh..wh.aufs", Mark::Ignored);
        check_mark(".wh..wh.plnk/12.34", ".wh..wh.plnk/12.34", Mark::Ignored);
        check_mark("a/.wh.", "a/.wh.", Mark::Impossible);
        check_mark("a/.wh...", "a/.wh...", Mark::Impossible);
        check_mark("a/x.wh.y", "a/x.wh.y", Mark::Plain);
        check_mark("", "", Mark::Plain);
    }
}
