//! Matches files of a build context against a `.dockerignore`. The caller reads the file.
//! Source: Docker's "Build context", ".dockerignore files"; moby/patternmatcher, `MatchesOrParentMatches`.

use globset::{GlobBuilder, GlobMatcher};

/// The rules of a file, in order.
#[derive(Clone, Debug, Default)]
pub struct Dockerignore {
    rules: Vec<IgnoreRule>,
}

#[derive(Clone, Debug)]
struct IgnoreRule {
    is_exception: bool,
    matcher: GlobMatcher,
}

impl Dockerignore {
    /// Skips invalid patterns, because the builder reports them itself.
    pub fn parse(text: &str) -> Dockerignore {
        let lines =
            text.trim_start_matches('\u{feff}').lines().map(str::trim_end).filter(|line| !line.starts_with('#'));
        let read = |line: &str| {
            let line = line.trim();
            let (is_exception, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            let parts: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            let glob =
                GlobBuilder::new(&parts.join("/")).literal_separator(true).backslash_escape(true).build().ok()?;
            (!parts.is_empty()).then(|| IgnoreRule { is_exception, matcher: glob.compile_matcher() })
        };
        Dockerignore { rules: lines.filter_map(read).collect() }
    }

    /// Whether the file is excluded from the build. `path` is relative to the context. The last rule that matches it or
    /// a directory above it decides.
    pub fn excludes(&self, path: &str) -> bool {
        let directories = path.match_indices('/').map(|(at, _)| &path[..at]);
        let names: Vec<&str> = directories.chain([path]).collect();
        let matches = |rule: &&IgnoreRule| names.iter().any(|name| rule.matcher.is_match(name));
        self.rules.iter().rev().find(matches).is_some_and(|rule| !rule.is_exception)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, bool)]) {
        let ignore = Dockerignore::parse(text);
        for (path, excluded) in expected {
            assert_eq!(ignore.excludes(path), *excluded, "{path} by {text:?}");
        }
    }

    #[test]
    fn a_directory_includes_the_files_below_it() {
        check("bin\n", &[("bin/app", true), ("bin", true), ("sub/bin/app", false), ("binary", false)]);
        check("/bin/\n", &[("bin/app", true)]);
        check("**/bin\n", &[("bin/app", true), ("a/b/bin/app", true)]);
    }

    #[test]
    fn the_last_match_decides_and_an_exception_includes_again() {
        check("*\n!bin\n", &[("bin/app", false), ("src/main.rs", true)]);
        check("!bin\n*\n", &[("bin/app", true)]);
        check("**/*.so\n!lib/keep.so\n", &[("lib/x.so", true), ("lib/keep.so", false)]);
    }

    #[test]
    fn comments_and_blank_lines_are_skipped_and_a_star_does_not_cross_directories() {
        check("\u{feff}# bin\n\n  \n*.o\n", &[("bin/app", false), ("a.o", true), ("x/a.o", false)]);
        check("bin/?pp\n", &[("bin/app", true), ("bin/apps", false)]);
    }
}
