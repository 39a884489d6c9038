//! The environment of a container's process: `KEY=VALUE` lines.

/// The PATH that engines set in a container that has none.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the value of a variable in `KEY=VALUE` lines. The last line wins.
pub(crate) fn variable<'e>(env: &'e [String], key: &str) -> Option<&'e str> {
    env.iter().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}
