//! The functions that a language's runtime calls when it loads a module.

/// Prefixes of the functions that a language's runtime calls when it loads a module. Source: CPython's
/// import_find_shared, Node-API's and Node's module headers, JNI, MRI's dln.c, R's Rdynload.c, Lua's loadlib.c, PHP's
/// `get_module`, erl_nif.h.
const MODULE_ENTRIES: &[(&str, Rest)] = &[
    ("PyInit_", Rest::Anything),
    ("napi_register_module_v", Rest::Anything),
    ("node_register_module_v", Rest::Anything),
    ("JNI_OnLoad", Rest::Nothing),
    ("Init_", Rest::Anything),
    ("R_init_", Rest::Anything),
    ("luaopen_", Rest::Anything),
    ("get_module", Rest::Nothing),
    ("nif_init", Rest::Nothing),
    ("_PG_init", Rest::Nothing),
];

/// What may follow the prefix of an entry's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// The module's name or version.
    Anything,
}

/// Whether a text that starts with a name, up to a NUL, starts with that of a module's entry.
pub fn is_module_entry(text: &[u8]) -> bool {
    // Most names differ in the first two bytes, which is quicker to see than by calling a comparison.
    let start = text.first_chunk::<2>();
    let mut entries = MODULE_ENTRIES.iter().filter(|(entry, _)| entry.as_bytes().first_chunk() == start);
    entries.any(|(entry, rest)| match rest {
        Rest::Nothing => text.strip_prefix(entry.as_bytes()).is_some_and(|text| text.starts_with(&[0])),
        Rest::Anything => text.starts_with(entry.as_bytes()),
    })
}
