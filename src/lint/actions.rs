//! The actions in generated and rewritten workflows, each pinned to the commit of a release.

/// A release of an action, pinned to its commit, because a tag can be moved.
#[derive(Debug, PartialEq, Eq)]
pub struct PinnedAction {
    pub name: &'static str,
    pub commit: &'static str,
    pub version: &'static str,
}

/// Source: the tags of each repository.
#[rustfmt::skip]
pub const ACTIONS: &[PinnedAction] = &[
    PinnedAction { name: "actions/checkout", commit: "3d3c42e5aac5ba805825da76410c181273ba90b1", version: "v7.0.1" },
    PinnedAction { name: "actions/upload-artifact", commit: "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a", version: "v7.0.1" },
    PinnedAction { name: "actions/download-artifact", commit: "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", version: "v8.0.1" },
    PinnedAction { name: "docker/setup-qemu-action", commit: "99012661954931238ded8c8b007157a8430204e1", version: "v4.4.0" },
    PinnedAction { name: "docker/setup-buildx-action", commit: "f87e5991a6d7451dcb8d9637bfbc97413f497069", version: "v4.4.1" },
    PinnedAction { name: "docker/login-action", commit: "dbcb813823bdd20940b903addbd779551569679f", version: "v4.6.0" },
    PinnedAction { name: "docker/metadata-action", commit: "dc802804100637a589fabce1cb79ff13a1411302", version: "v6.2.0" },
    PinnedAction { name: "docker/build-push-action", commit: "c3c9e263c25d99ce0380d002d59b67737d91b0dc", version: "v7.4.0" },
];

/// Returns the value of `uses:`: `docker/login-action@dbcb81... # v4.6.0`. A name that is not in the table stays
/// unchanged.
pub fn pinned(name: &str) -> String {
    match ACTIONS.iter().find(|action| action.name == name) {
        Some(action) => format!("{}@{} # {}", action.name, action.commit, action.version),
        None => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_pinned_to_a_whole_commit_and_names_its_release() {
        for action in ACTIONS {
            assert!(
                action.commit.len() == 40 && action.commit.bytes().all(|b| b.is_ascii_hexdigit()),
                "{}",
                action.name
            );
            assert!(action.version.starts_with('v') && action.version.matches('.').count() == 2, "{}", action.name);
            assert!(pinned(action.name).contains(action.commit));
        }
    }
}
