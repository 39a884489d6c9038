//! Owners and modes of the image's files after the commands of a script that change them. Source: chmod(1), chown(1).

use crate::image::{FileView, NodeId, NodeKind, RootFs};
use crate::inspect::FileKind;

/// Maximum number of changes that are recorded for one script.
const MAX_CHANGES: usize = 256;
/// The bits that `+x` without `u`, `g`, `o` or `a` changes: those that the usual umask allows.
const BY_UMASK: u16 = 0o755;

/// The changes of a script, in the order of its commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FileChanges(Vec<FileChange>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FileChange {
    file: NodeId,
    /// It also changes everything below the directory.
    is_recursive: bool,
    effect: ChangeEffect,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChangeEffect {
    Mode(ModeChange),
    Owner {
        uid: Option<u32>,
        gid: Option<u32>,
    },
    /// The new mode or owner is not known.
    Unknown,
}

/// A mode as chmod takes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ModeChange {
    Number(u16),
    Clauses(Vec<ModeClause>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModeClause {
    /// The bits of the users that it applies to.
    users: u16,
    operator: char,
    letters: String,
}

impl ModeChange {
    /// Parses `755`, `u=rwx,go+rX`. `None` if it is not a mode.
    pub(crate) fn parse(text: &str) -> Option<ModeChange> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return u16::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).map(ModeChange::Number);
        }
        let mut clauses = Vec::new();
        for clause in text.split(',') {
            let end = clause.find(['+', '-', '='])?;
            let users = clause[..end].chars().try_fold(0, |bits, user| match user {
                'u' => Some(bits | 0o700),
                'g' => Some(bits | 0o070),
                'o' => Some(bits | 0o007),
                'a' => Some(0o777),
                _ => None,
            })?;
            let mut rest = &clause[end..];
            while let Some(operator) = rest.chars().next() {
                let letters = rest[1..].split(['+', '-', '=']).next().unwrap_or_default();
                if !letters.chars().all(|letter| "rwxXstugo".contains(letter)) {
                    return None;
                }
                let users = if end == 0 { BY_UMASK } else { users };
                clauses.push(ModeClause { users, operator, letters: letters.to_string() });
                rest = &rest[1 + letters.len()..];
            }
        }
        Some(ModeChange::Clauses(clauses))
    }

    pub(crate) fn apply(&self, mode: u16, is_directory: bool) -> u16 {
        match self {
            ModeChange::Number(number) => *number,
            ModeChange::Clauses(clauses) => clauses.iter().fold(mode, |mode, clause| {
                let of = |from: u16| ((mode >> from) & 7) * 0o111;
                let bits = clause.letters.chars().fold(0, |bits, letter| {
                    bits | match letter {
                        'r' => 0o444,
                        'w' => 0o222,
                        'x' => 0o111,
                        'X' if is_directory || mode & 0o111 != 0 => 0o111,
                        'u' => of(6),
                        'g' => of(3),
                        'o' => of(0),
                        _ => 0,
                    }
                });
                match clause.operator {
                    '+' => mode | bits & clause.users,
                    '-' => mode & !(bits & clause.users),
                    _ => mode & !clause.users | bits & clause.users,
                }
            }),
        }
    }
}

impl FileChanges {
    pub(crate) fn record(&mut self, file: NodeId, is_recursive: bool, effect: ChangeEffect) -> bool {
        let has_room = self.0.len() < MAX_CHANGES;
        if has_room {
            self.0.push(FileChange { file, is_recursive, effect });
        }
        has_room
    }

    /// Returns a file with its owner and mode after the changes. `None` if they are not known.
    pub(crate) fn applied<'v>(
        &self,
        rootfs: &RootFs<FileKind>,
        view: FileView<'v, FileKind>,
    ) -> Option<FileView<'v, FileKind>> {
        let mut view = view;
        for change in &self.0 {
            let is_below = || {
                let up = std::iter::successors(Some(view.id), |id| Some(rootfs.parent(*id)).filter(|up| up != id));
                up.into_iter().any(|id| id == change.file)
            };
            if change.file != view.id && !(change.is_recursive && is_below()) {
                continue;
            }
            match &change.effect {
                ChangeEffect::Mode(mode) => view.mode = mode.apply(view.mode, view.kind == NodeKind::Directory),
                ChangeEffect::Owner { uid, gid } => {
                    view.uid = uid.unwrap_or(view.uid);
                    view.gid = gid.unwrap_or(view.gid);
                }
                ChangeEffect::Unknown => return None,
            }
        }
        Some(view)
    }

    /// Merges the changes of another branch. Files that the branches change differently have unknown modes.
    pub(crate) fn absorb(&mut self, other: &FileChanges) {
        let same = self.0.iter().zip(&other.0).take_while(|(own, other)| own == other).count();
        let rest: Vec<FileChange> = self.0.drain(same..).chain(other.0[same..].iter().cloned()).collect();
        for change in rest {
            self.record(change.file, change.is_recursive, ChangeEffect::Unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ModeChange;

    #[test]
    fn modes_are_numbers_or_clauses() {
        let check = |text: &str, mode: u16, is_directory: bool, expected: Option<u16>| {
            let found = ModeChange::parse(text).map(|change| change.apply(mode, is_directory));
            assert_eq!(found, expected, "{text} {mode:o}");
        };
        check("755", 0o600, false, Some(0o755));
        check("0500", 0o644, false, Some(0o500));
        check("+x", 0o644, false, Some(0o755));
        check("a-x", 0o755, false, Some(0o644));
        check("-x", 0o755, false, Some(0o644));
        check("o-x", 0o755, false, Some(0o754));
        check("u=rwx,go=", 0o777, false, Some(0o700));
        check("a+rX", 0o600, false, Some(0o644));
        check("a+rX", 0o700, false, Some(0o755));
        check("go+rX", 0o700, true, Some(0o755));
        check("g=u", 0o750, false, Some(0o770));
        check("u+x-w", 0o644, false, Some(0o544));
        for text in ["app", "789", "u", "a+q"] {
            check(text, 0o644, false, None);
        }
    }
}
