//! Messages of the C library and of bash in other languages. Lines are translated to English before patterns are
//! matched. `ld.so` itself never translates; `dlerror` and `strerror` do.
//! Source: glibc's `po/` in Debian's libc-l10n 2.36, and bash 5.2's `po/`.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

mod catalogues;

pub use catalogues::CATALOGUES;

/// The texts of one language. An empty text is not translated, so programs print it in English.
#[derive(Debug)]
pub struct Catalogue {
    /// The language code, as in `LANG`.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests name a catalogue by it"))]
    pub language: &'static str,
    pub exec_format: &'static str,
    pub no_such_file: &'static str,
    pub permission_denied: &'static str,
    pub not_permitted: &'static str,
    pub corrupted_library: &'static str,
    pub input_output: &'static str,
    pub symlink_loop: &'static str,
    pub text_busy: &'static str,
    pub illegal_instruction: &'static str,
    pub segmentation_fault: &'static str,
    pub cannot_open_object: &'static str,
    pub wrong_class: &'static str,
    pub invalid_header: &'static str,
    pub too_short: &'static str,
    /// bash, followed by an error's text.
    pub execute_binary: &'static str,
    /// bash, by itself: the wording of older releases.
    pub execute_binary_alone: &'static str,
    pub bad_interpreter: &'static str,
    pub required_file: &'static str,
    pub command_not_found: &'static str,
}

impl Catalogue {
    /// Each text with its English.
    pub fn texts(&self) -> [(&'static str, &'static str); 19] {
        [
            (self.exec_format, "Exec format error"),
            (self.no_such_file, "No such file or directory"),
            (self.permission_denied, "Permission denied"),
            (self.not_permitted, "Operation not permitted"),
            (self.corrupted_library, "Accessing a corrupted shared library"),
            (self.input_output, "Input/output error"),
            (self.symlink_loop, "Too many levels of symbolic links"),
            (self.text_busy, "Text file busy"),
            (self.illegal_instruction, "Illegal instruction"),
            (self.segmentation_fault, "Segmentation fault"),
            (self.cannot_open_object, "cannot open shared object file"),
            (self.wrong_class, "wrong ELF class"),
            (self.invalid_header, "invalid ELF header"),
            (self.too_short, "file too short"),
            (self.execute_binary, "cannot execute binary file"),
            (self.execute_binary_alone, "cannot execute binary file"),
            (self.bad_interpreter, "bad interpreter"),
            (self.required_file, "cannot execute: required file not found"),
            (self.command_not_found, "command not found"),
        ]
    }
}

/// Texts from releases other than the catalogues'.
const OTHER_RELEASES: &[(&str, &str)] = &[("No existe el archivo o el directorio", "No such file or directory")];

/// Every non-empty text with its English.
pub fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
    let catalogued = CATALOGUES.iter().flat_map(Catalogue::texts);
    catalogued.chain(OTHER_RELEASES.iter().copied()).filter(|(text, _)| !text.is_empty())
}

struct Translator {
    texts: AhoCorasick,
    english: Vec<&'static str>,
}

static TRANSLATOR: LazyLock<Translator> = LazyLock::new(|| {
    let (texts, english): (Vec<&str>, Vec<&str>) = texts().unzip();
    let texts = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(true).build(texts);
    Translator { texts: texts.expect("a few hundred short texts"), english }
});

/// Translates every known text in `line` to English and normalises its colons. `None` if `line` contains no known text.
pub fn to_english(line: &str) -> Option<String> {
    let spaced = line.replace(['\u{a0}', '\u{202f}'], " ");
    if !TRANSLATOR.texts.is_match(&spaced) {
        return None;
    }
    let english = TRANSLATOR.texts.replace_all(&spaced, &TRANSLATOR.english);
    Some(english.replace('：', ": ").replace(" : ", ": "))
}

#[cfg(test)]
#[path = "translation_tests.rs"]
mod tests;
