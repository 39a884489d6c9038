//! Small texts that entry scripts read: lists of programs, versions, settings.

use super::named::extension;

/// Bytes of such a text. A script's lists have a few lines.
pub const LISTED_BYTES: u64 = 1024;

/// Directories whose texts belong to packages.
const PACKAGES: &[&[u8]] = &[
    b"usr/lib",
    b"usr/share/",
    b"usr/include/",
    b"usr/src/linux",
    b"lib",
    b"var/lib/dpkg/",
    b"var/lib/apt/",
    b"var/cache/",
    b"proc/",
    b"sys/",
    b"dev/",
    b"boot/",
    b"etc/ssl/",
    b"etc/alternatives/",
    b"usr/local/lib/",
    b"usr/local/share/",
    b"usr/local/include/",
];
/// Directories of dependencies, tests and translations.
const PARTS: &[&[u8]] = &[
    b"node_modules",
    b"site-packages",
    b"dist-packages",
    b".git",
    b"gems",
    b"vendor",
    b"test",
    b"tests",
    b"locale",
    b"doc",
    b"docs",
    b"examples",
    b"include",
    b"licenses",
    b".dist-info",
    b".egg-info",
];

/// Whether a text is kept as a whole, because a script may read it.
pub fn is_listed(path: &[u8], size: u64) -> bool {
    let is_named = || {
        matches!(
            extension(path),
            b"" | b".txt"
                | b".list"
                | b".lst"
                | b".csv"
                | b".tsv"
                | b".args"
                | b".opts"
                | b".options"
                | b".cmd"
                | b".tpl"
                | b".tmpl"
                | b".template"
                | b".in"
                | b".j2"
                | b".version"
                | b".properties"
                | b".vars"
        )
    };
    let is_of_package = || PACKAGES.iter().any(|start| path.starts_with(start));
    let has_part = || path.split(|byte| *byte == b'/').any(|name| PARTS.iter().any(|part| name.ends_with(part)));
    size <= LISTED_BYTES && is_named() && !is_of_package() && !has_part()
}

#[cfg(test)]
mod tests {
    use super::is_listed;

    #[test]
    fn small_texts_outside_packages_are_kept() {
        for path in ["app/list", "opt/app/programs.txt", "etc/app/mode", "app/run.tpl", "srv/app.properties"] {
            assert!(is_listed(path.as_bytes(), 100), "{path}");
        }
        assert!(!is_listed(b"app/list", 4096));
        for path in ["usr/lib/x/list", "app/node_modules/a/LICENSE", "app/a.py", "app/tests/list", "etc/ssl/certs/x"] {
            assert!(!is_listed(path.as_bytes(), 100), "{path}");
        }
    }
}
