//! Checks the symbol versions that each object requires of each library against those that the library defines. Source:
//! elf/dl-version.c `match_symbol`. musl does not check versions.

use crate::exec::loader::{Ended, Loaded, Object, VERSION_EXIT, soname};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};

/// Ends the program if a library lacks a version. The loader prints all of them.
pub(crate) fn check(loaded: &Loaded<'_>) -> Result<(), Ended> {
    let program = lossy(&loaded.objects[0].path);
    let mut lacking = Vec::new();
    for object in &loaded.objects {
        let wants = object.elf.dynamic.as_ref().map_or(&[][..], |dynamic| dynamic.wants.as_slice());
        for (library, versions) in wants {
            let Some(provider) = loaded.objects.iter().find(|provider| is_named(provider, library)) else { continue };
            let Some(offers) = offers(provider) else { continue };
            let lacks = versions.iter().filter(|(version, is_weak)| !is_weak && !offers.contains(version));
            lacking.extend(lacks.map(|(version, _)| (version.clone(), lossy(&provider.path), lossy(&object.path))));
        }
    }
    let Some((version, provider, wanted_by)) = lacking.first().cloned() else { return Ok(()) };
    let line = |(version, provider, by): &(String, String, String)| {
        format!("{program}: {provider}: version `{version}' not found (required by {by})")
    };
    let says = lacking.iter().map(line).collect();
    let newest =
        newest(loaded, &provider, &version).map_or_else(String::new, |newest| format!(", whose newest is {newest}"));
    let text = format!("{wanted_by} was linked against {version}; the image has {provider}{newest}");
    let cause = Cause { kind: CauseKind::SymbolVersion, text };
    Err(Ended { outcome: Outcome::Dies { death: Death::Exit(VERSION_EXIT), at: wanted_by, cause }, says })
}

fn is_named(object: &Object<'_>, library: &str) -> bool {
    object.name == library.as_bytes() || soname(object.elf).is_some_and(|name| name == library.as_bytes())
}

/// `None` if the library has no versions, which the loader accepts, or if they could not be read.
fn offers<'a>(object: &Object<'a>) -> Option<&'a Vec<String>> {
    let dynamic = object.elf.dynamic.as_ref()?;
    dynamic.offers.as_ref().filter(|offers| !offers.is_empty() && !dynamic.is_partial)
}

/// Returns the library's highest version of the same series (`GLIBC_`, `GLIBCXX_`).
fn newest(loaded: &Loaded<'_>, provider: &str, wanted: &str) -> Option<String> {
    let object = loaded.objects.iter().find(|object| object.path == provider.as_bytes())?;
    let (series, _) = wanted.rsplit_once('_')?;
    let rank = |version: &str| -> Option<Vec<u32>> {
        version.strip_prefix(series)?.strip_prefix('_')?.split('.').map(|part| part.parse().ok()).collect()
    };
    offers(object)?
        .iter()
        .filter_map(|version| Some((rank(version)?, version)))
        .max()
        .map(|(_, version)| version.clone())
}
