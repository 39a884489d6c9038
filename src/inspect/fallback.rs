//! Packages of Node.js that load JavaScript if their addon cannot be loaded: `try { require("./bindings") } catch (e) {
//! require("./js") }`. Run without their addons: keccak 3.0.4 and secp256k1 5.0.2.

/// Maximum size of such a file in bytes.
pub const BYTES: u64 = 8 << 10;
/// Maximum number of `try` statements to look at.
const TRIES: usize = 8;
/// Words of a call that loads an addon.
const NATIVE: [&str; 6] = ["bindings", "node-gyp-build", ".node", "/build/", "prebuilds", "native"];

/// Whether a file may be the one that chooses.
pub fn is_package_path(path: &[u8], size: u64) -> bool {
    let has = |part: &[u8]| path.windows(part.len()).any(|window| window == part);
    size <= BYTES && (path.ends_with(b".js") || path.ends_with(b".cjs")) && has(b"node_modules/")
}

/// Returns the directory of the package if the text loads something else in place of its addon.
pub fn package(path: &[u8], text: &[u8]) -> Option<String> {
    let (path, text) = (std::str::from_utf8(path).ok()?, std::str::from_utf8(text).ok()?);
    if !text.contains("catch") || !text.contains("require(") {
        return None;
    }
    let mut rest = text;
    for _ in 0..TRIES {
        rest = &rest[rest.find("try")? + "try".len()..];
        let Some((body, after)) = block(rest) else { continue };
        let Some(handler) = after.trim_start().strip_prefix("catch") else { continue };
        let handler = match handler.trim_start().strip_prefix('(') {
            Some(inner) => inner.split_once(')').map_or("", |(_, handler)| handler),
            None => handler,
        };
        let Some((handler, _)) = block(handler) else { continue };
        let is_native = |part: &str| NATIVE.iter().any(|word| part.contains(word));
        let loads = |part: &str| part.contains("require(");
        if loads(body) && is_native(body) && loads(handler) && !is_native(handler) && !handler.contains("throw") {
            return directory(path);
        }
    }
    None
}

/// The text inside the braces that `text` starts with, and the text after them.
fn block(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start().strip_prefix('{')?;
    let mut depth = 1_usize;
    let end = text.bytes().position(|byte| {
        depth = match byte {
            b'{' => depth + 1,
            b'}' => depth - 1,
            _ => depth,
        };
        depth == 0
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// `/srv/node_modules/@scope/name` of a file inside.
fn directory(path: &str) -> Option<String> {
    let start = path.rfind("node_modules/")? + "node_modules/".len();
    let depth = if path[start..].starts_with('@') { 1 } else { 0 };
    let end = start + path[start..].match_indices('/').nth(depth)?.0;
    Some(format!("/{}", &path[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_with_javascript_in_place_of_their_addon_are_found() {
        let found = |text: &str| package(b"srv/node_modules/keccak/index.js", text.as_bytes());
        let own = Some("/srv/node_modules/keccak".to_string());
        assert_eq!(found("try {\n m = require('./bindings')\n} catch (err) {\n m = require('./js')\n}\n"), own);
        assert_eq!(found("try { if (a) { b = require('node-gyp-build')(c) } } catch { b = require('./js') }"), own);
        for text in [
            "try { m = require('./build/Release/a.node') } catch (e) { m = require('./build/Debug/a.node') }",
            "try { m = require('./bindings') } catch (e) { throw e; require('a') }",
            "try { m = require('./bindings') } catch (e) {}",
            "try { m = require('./a') } catch (e) { m = require('./b') }",
            "try { m = require('./bindings') } finally { require('a') }",
            "try { catch require(",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
        assert!(is_package_path(b"srv/node_modules/a/index.js", 100));
        assert!(!is_package_path(b"srv/index.js", 100));
        let scoped = directory("srv/node_modules/@a/b/lib/index.js");
        assert_eq!(scoped.as_deref(), Some("/srv/node_modules/@a/b"));
    }
}
