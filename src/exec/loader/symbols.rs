//! Finds symbols that musl's loader cannot resolve. It binds all symbols before the program's own code runs, and it has
//! no versions. Source: ldso/dynlink.c `do_relocs`, `find_sym`; the libraries are relocated before the program.

use crate::exec::loader::{EXIT, Ended, Loaded, Object};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::inspect::{Symbols, symbol_hash};

/// Maximum number of the loader's lines that are shown.
const MAX_LINES: usize = 16;

/// Ends the program if no object defines a symbol. Passes if the symbols of any object are not known.
pub(crate) fn check(loaded: &Loaded<'_>) -> Result<(), Ended> {
    let symbols: Option<Vec<(&Object<'_>, &Symbols)>> =
        loaded.objects.iter().map(|object| Some((object, symbols_of(object)?))).collect();
    let Some(symbols) = symbols else { return Ok(()) };
    let is_offered = |name: &str| {
        let hash = symbol_hash(name.as_bytes());
        symbols.iter().any(|(_, own)| own.defined.binary_search(&hash).is_ok())
    };
    let libraries_first = symbols.iter().skip(1).chain(symbols.first());
    let lacking: Vec<(&Object<'_>, &str)> = libraries_first
        .flat_map(|(object, own)| own.undefined.lines().map(move |name| (*object, name)))
        .filter(|(_, name)| !is_offered(name))
        .collect();
    let Some((object, name)) = lacking.first() else { return Ok(()) };
    let path = lossy(&object.path);
    let more = match lacking.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let is_for_glibc =
        object.elf.dynamic.as_ref().is_some_and(|dynamic| dynamic.needed.iter().any(|name| name == "libc.so.6"));
    let built = if is_for_glibc { "; it was built for glibc, but its loader is musl's" } else { "" };
    let text = format!("{path} needs the symbol {name}{more}, which no library that it loads defines{built}");
    let line = |(object, name): &(&Object<'_>, &str)| {
        format!("Error relocating {}: {name}: symbol not found", lossy(&object.path))
    };
    let says = lacking.iter().take(MAX_LINES).map(line).collect();
    let cause = Cause { kind: CauseKind::MissingSymbol, text };
    Err(Ended { outcome: Outcome::Dies { death: Death::Exit(EXIT), at: path, cause }, says })
}

fn symbols_of<'a>(object: &Object<'a>) -> Option<&'a Symbols> {
    object.elf.dynamic.as_ref()?.symbols.as_deref()
}

#[cfg(test)]
#[path = "symbols_tests.rs"]
mod tests;
