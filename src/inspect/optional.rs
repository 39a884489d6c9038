//! The modules that a Python file imports only if they can be loaded: imports in a `try` statement that handles their
//! failure without raising an error itself. Packages import their compiled speed-ups so.
//! Source: the Python reference, "The try statement", "The import statement".

/// Bytes of a file to read. Such imports are near the start.
pub const BYTES: u64 = 64 << 10;
/// Maximum number of modules to keep of one file.
const MODULES: usize = 32;
/// Maximum depth of nested `try` statements.
const DEPTH: usize = 16;

/// Whether a file may be part of a package. The standard library is left out.
pub fn is_package_path(path: &[u8]) -> bool {
    let has = |part: &[u8]| path.windows(part.len()).any(|window| window == part);
    path.ends_with(b".py") && (has(b"-packages/") || !has(b"lib/python")) && !has(b"/tests/") && !has(b"/test/")
}

/// A `try` statement.
struct Try {
    indent: usize,
    /// The indent of the statements of the current clause.
    inner: Option<usize>,
    clause: Clause,
    modules: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clause {
    Body,
    /// Handles a failed import, so far without raising an error.
    Handles,
    /// Follows a clause that handles a failed import.
    Handled,
    /// Handles other errors, or runs in any case.
    Other,
    /// Raises an error, too.
    Raises,
}

/// Returns the paths of such modules in the package of `path`, without a suffix: `/usr/lib/markupsafe/_speedups`.
pub fn imports(path: &[u8], text: &[u8]) -> Vec<String> {
    let (Ok(path), Ok(text)) = (std::str::from_utf8(path), std::str::from_utf8(cut(text))) else { return Vec::new() };
    let mut found = Vec::new();
    if !text.contains("ImportError") && !text.contains("ModuleNotFoundError") {
        return found;
    }
    let mut open: Vec<Try> = Vec::new();
    for line in text.lines() {
        let statement = line.trim_start_matches([' ', '\t']);
        if statement.is_empty() || statement.starts_with('#') {
            continue;
        }
        let indent = line.len() - statement.len();
        let is_clause = ["except", "else:", "finally:"].iter().any(|word| statement.starts_with(word));
        while open.last().is_some_and(|last| indent < last.indent || indent == last.indent && !is_clause) {
            found.extend(open.pop().map(Try::optional).unwrap_or_default());
        }
        if let Some(last) = open.last_mut().filter(|last| last.indent == indent) {
            last.clause = last.next_clause(statement);
            last.inner = None;
            continue;
        }
        if let Some(last) = open.last_mut() {
            let is_direct = *last.inner.get_or_insert(indent) == indent;
            match last.clause {
                Clause::Body if last.modules.len() < MODULES => last.modules.extend(modules(path, statement)),
                Clause::Handles if is_direct && statement.starts_with("raise") => last.clause = Clause::Raises,
                Clause::Body | Clause::Handles | Clause::Handled | Clause::Other | Clause::Raises => {}
            }
        }
        if statement.starts_with("try:") && open.len() < DEPTH {
            open.push(Try { indent, inner: None, clause: Clause::Body, modules: Vec::new() });
        }
    }
    found.extend(open.into_iter().flat_map(Try::optional));
    found.sort_unstable();
    found.dedup();
    found.truncate(MODULES);
    found
}

/// The text up to its last whole line.
fn cut(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
    if (text.len() as u64) < BYTES { text } else { &text[..end] }
}

impl Try {
    fn next_clause(&self, statement: &str) -> Clause {
        let handles = ["ImportError", "ModuleNotFoundError", "except:", "Exception"];
        match self.clause {
            Clause::Raises => Clause::Raises,
            Clause::Body | Clause::Other
                if statement.starts_with("except") && handles.iter().any(|name| statement.contains(name)) =>
            {
                Clause::Handles
            }
            // A later clause does not raise what an earlier one handled.
            Clause::Handles | Clause::Handled => Clause::Handled,
            Clause::Body | Clause::Other => Clause::Other,
        }
    }

    fn optional(self) -> Vec<String> {
        match self.clause {
            Clause::Handles | Clause::Handled => self.modules,
            Clause::Body | Clause::Other | Clause::Raises => Vec::new(),
        }
    }
}

/// The modules of the file's own package that a statement imports.
fn modules(path: &str, statement: &str) -> Vec<String> {
    let statement = statement.split('#').next().unwrap_or(statement);
    let (from, names) = match (statement.strip_prefix("from "), statement.strip_prefix("import ")) {
        (Some(rest), _) => match rest.split_once(" import") {
            Some((from, names)) => (from.trim(), names),
            None => return Vec::new(),
        },
        (None, Some(names)) => {
            let own = names.split(',').filter_map(|name| absolute(path, first_word(name)));
            return own.collect();
        }
        (None, None) => return Vec::new(),
    };
    let module = from.trim_start_matches('.');
    let base = match from.len() - module.len() {
        0 => absolute(path, module),
        dots => relative(path, dots, module),
    };
    let Some(base) = base else { return Vec::new() };
    let names = names.trim().trim_start_matches('(').split(',').map(first_word);
    let names =
        names.filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    let inner = names.map(|name| format!("{base}/{name}"));
    let own = Some(base.clone()).filter(|_| !module.is_empty());
    own.into_iter().chain(inner).collect()
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// `tornado.speedups` in a file of the package `tornado`.
fn absolute(path: &str, module: &str) -> Option<String> {
    let top = module.split('.').next().filter(|top| !top.is_empty())?;
    let packages = path.rfind("-packages/").unwrap_or_default();
    let at = packages + path[packages..].find(&format!("/{top}/"))?;
    Some(format!("/{}/{}", &path[..at], module.replace('.', "/")))
}

fn relative(path: &str, dots: usize, module: &str) -> Option<String> {
    let mut directory = path;
    for _ in 0..dots {
        directory = directory.rsplit_once('/')?.0;
    }
    let rest = module.replace('.', "/");
    Some(if rest.is_empty() { format!("/{directory}") } else { format!("/{directory}/{rest}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        imports(b"s/site-packages/pkg/sub/mod.py", text.as_bytes())
    }

    #[test]
    fn imports_whose_failure_is_handled_are_optional() {
        let own = |name: &str| format!("/s/site-packages/pkg/{name}");
        let both = |a: &str, b: &str| vec![own(a), own(b)];
        let body = "    from ._fast import f\n";
        assert_eq!(
            found(&format!("try:\n{body}except ImportError:\n    f = None\n")),
            both("sub/_fast", "sub/_fast/f")
        );
        let absolute =
            "try:\n    import pkg._fast as fast\n    import other\nexcept Exception:\n    pass\n# ImportError\n";
        assert_eq!(found(absolute), [own("_fast")]);
        let parent =
            "try:\n  from .. import _fast  # noqa\nexcept (ImportError, OSError) as e:\n  x = e\n  if A:\n    raise\n";
        assert_eq!(found(parent), [own("_fast")]);
        let inner = "def f():\n    try:\n        if C:\n            from ..c import x\n    except ModuleNotFoundError:\n        return\n";
        assert_eq!(found(inner), both("c", "c/x"));
        let second =
            format!("try:\n{body}except OSError:\n    pass\nexcept ImportError:\n    pass\nelse:\n    raise A\n");
        assert_eq!(found(&second), both("sub/_fast", "sub/_fast/f"));
    }

    #[test]
    fn imports_whose_failure_is_an_error_are_not_optional() {
        let body = "    from ._fast import f\n";
        for text in [
            format!("try:\n{body}except ImportError as e:\n    raise RuntimeError() from e\n"),
            format!("try:\n{body}except OSError:\n    pass\n# ImportError\n"),
            format!("try:\n{body}finally:\n    pass\n# ImportError\n"),
            "from ._fast import f\ntry:\n    import x\nexcept ImportError:\n    pass\n".to_string(),
            "try:\n    pass\nexcept ImportError:\n    from ._fast import f\n".to_string(),
        ] {
            assert_eq!(found(&text), [""; 0], "{text}");
        }
    }

    #[test]
    fn only_files_of_packages_are_read() {
        assert!(is_package_path(b"usr/local/lib/python3.11/site-packages/a/b.py"));
        assert!(is_package_path(b"var/task/a/b.py"));
        assert!(!is_package_path(b"usr/lib/python3.11/json/decoder.py"));
        assert!(!is_package_path(b"var/task/a/b.pyc"));
    }
}
