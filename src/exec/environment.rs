//! The environment of a container's process: `KEY=VALUE` lines.

/// What engines put in the environment of a container that has no PATH.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The value of a variable in `KEY=VALUE` lines; the last one counts.
pub(crate) fn variable<'e>(env: &'e [String], key: &str) -> Option<&'e str> {
    env.iter().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}
