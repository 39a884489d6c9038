//! Whether musl's loader loads a library that is built for glibc. It takes the names of glibc's libraries for its own and
//! ignores symbol versions, so only the names of libraries and symbols decide. Seen with musl 1.2.3: a library that needs
//! only libc.so.6 is loaded if musl defines its symbols. One with `-z now` that calls `__snprintf_chk` is refused, others
//! crash at the call. Source: ldso/dynlink.c `load_library`, `do_relocs`.

use crate::inspect::{Elf, Symbols, symbol_hash};
use crate::judge::facts::libraries::Libraries;
use crate::judge::facts::programs::{Fit, JudgedProgram, Programs};

/// Starts of names that the process which loads a module defines, or the C++ library.
const OTHERS: &[&str] =
    &["_Z", "napi_", "node_", "uv_", "Py", "_Py", "rb_", "JNI_", "JVM_", "__gxx_", "__cxa_", "_Unwind_"];

/// What musl's loader does with a library for glibc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnMusl {
    Loads,
    /// It has no such library, or defines no such symbol.
    Lacks(String),
    Unknown,
}

/// What the image's musl does with `program`, which is built for glibc.
pub fn on_musl(programs: &Programs<'_>, libraries: &Libraries<'_>, program: &JudgedProgram<'_>) -> OnMusl {
    let Some(dynamic) = program.elf.dynamic.as_deref().filter(|dynamic| !dynamic.is_partial) else {
        return OnMusl::Unknown;
    };
    if let Some(loader) = dynamic.needed.iter().find(|name| name.starts_with("ld-linux") || name.starts_with("ld64.")) {
        return OnMusl::Lacks(loader.clone());
    }
    let (Some(undefined), Some(musl)) = (&dynamic.undefined, programs.all.iter().find_map(musl_of)) else {
        return OnMusl::Unknown;
    };
    let closure = libraries.closure(program);
    let others: Vec<&Symbols> = closure.iter().skip(1).filter_map(|library| symbols_of(library.elf)).collect();
    let is_defined = |name: &str| {
        let hash = symbol_hash(name.as_bytes());
        [musl].iter().chain(&others).any(|own| own.defined.binary_search(&hash).is_ok())
    };
    let is_others = |name: &str| OTHERS.iter().any(|start| name.starts_with(start));
    let lacking = undefined.lines().find(|name| !is_others(name) && !is_defined(name));
    lacking.map_or(OnMusl::Loads, |name| OnMusl::Lacks(name.to_string()))
}

/// The symbols of the image's musl. Debian's is `libc.so`, and its loader a link to it.
fn musl_of<'a>(program: &JudgedProgram<'a>) -> Option<&'a Symbols> {
    let is_musl = ["ld-musl-", "libc.musl-"].iter().any(|start| program.name().starts_with(start))
        || program.path.contains("-linux-musl/libc.so");
    symbols_of(program.elf).filter(|_| is_musl && program.fit == Fit::Native)
}

fn symbols_of(elf: &Elf) -> Option<&Symbols> {
    elf.dynamic.as_ref()?.symbols.as_deref()
}
