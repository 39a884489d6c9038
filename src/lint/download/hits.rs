//! Where a command's words name an architecture: in files, paths and URLs, themselves or by what their variables hold.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::lint::dockerfile::{self, Variable};
use crate::lint::shell::{Command, Word};
use crate::lint::stages::makes_code;
use crate::lint::token::{self, Token};

/// One architecture name at one place.
pub struct Hit<'a> {
    pub token: Token,
    pub spelled: String,
    pub word: &'a Word,
    /// Bytes of the word's text.
    pub range: Range<usize>,
    /// Variables that it came from; empty where it stands in the word itself.
    pub origins: Vec<Variable>,
    /// It stands among a compiler's words.
    pub is_told_to_compiler: bool,
}

impl Hit<'_> {
    /// Whether the shell would expand a variable in its place: where it stands itself, or where a variable does that holds
    /// nothing else.
    pub fn is_replaceable(&self) -> bool {
        match self.origins.as_slice() {
            [] => self.word.expands_at(&self.range),
            [Variable { name, value: Some((value, _)), .. }] => {
                let reference = &self.word.text[self.range.clone()];
                *value == self.spelled && (reference == format!("${name}") || reference == format!("${{{name}}}"))
            }
            _ => false,
        }
    }
}

/// Programs whose words are not files that the image gets.
const NOT_FILES: &[&str] = &[
    "sed",
    "grep",
    "egrep",
    "awk",
    "tr",
    "expr",
    "[",
    "[[",
    "test",
    "case",
    "docker",
    "buildah",
    "rustup",
    "uname",
    "dpkg-architecture",
    "qemu-img",
    "git",
    "printf",
];

/// Package managers: their words are files only with a slash or an extension; `gcc-aarch64-linux-gnu` is a cross compiler.
const PACKAGE_MANAGERS: &[&str] = &[
    "apt", "apt-get", "aptitude", "apk", "yum", "dnf", "microdnf", "tdnf", "zypper", "pacman", "cargo", "brew",
    "conda", "mamba", "pip", "pip3", "python", "python3", "uv", "npm", "npx", "yarn", "pnpm", "bun",
];

/// A command that is told the target beside the name, such as `xx-apk` or `docker run --platform`.
pub fn chooses_for_itself(command: &Command) -> bool {
    let program = command.program();
    NOT_FILES.contains(&program) || program.starts_with("xx-") || program.ends_with("-strip")
}

pub fn hits_of<'a>(command: &'a Command, known: &BTreeMap<String, Variable>) -> Vec<Hit<'a>> {
    let is_package_manager = PACKAGE_MANAGERS.contains(&command.program());
    let mut hits = Vec::new();
    // A program found by PATH is a tool of the build: `aarch64-linux-gnu-gcc`.
    let is_tool = |word: &Word| word.text.rsplit('/').next() == Some(command.program()) && !word.text.contains('/');
    for word in command.words.iter().filter(|word| !is_tool(word)) {
        if let Some((_, value_at)) = word.assignment() {
            // What a variable holds counts where it is used, unless it is a URL itself.
            if word.text.contains("://") {
                hits.extend(hits_in(word, &word.text[value_at..], value_at, known));
            }
            continue;
        }
        let mut at = 0;
        for piece in word.text.split_inclusive(char::is_whitespace) {
            let text = piece.trim_end();
            let is_option = text.starts_with('-') && !text.contains("://");
            let is_package = is_package_manager && !text.contains('/') && !has_package_extension(text);
            if !is_option && !is_package && !is_toolchain_path(text) {
                hits.extend(hits_in(word, text, at, known));
            }
            at += piece.len();
        }
    }
    let is_told_to_compiler = makes_code(command);
    hits.iter_mut().for_each(|hit: &mut Hit<'_>| hit.is_told_to_compiler = is_told_to_compiler);
    hits
}

fn has_package_extension(text: &str) -> bool {
    [".deb", ".rpm", ".apk"].iter().any(|extension| text.ends_with(extension))
}

/// `/usr/aarch64-linux-gnu/...`: where cross compilers keep the target's files; and a bare `linux/amd64`, a platform.
fn is_toolchain_path(text: &str) -> bool {
    let folder = text.strip_prefix("/usr/").and_then(|rest| rest.split('/').next()).unwrap_or("");
    let is_triplet = folder.contains("-linux-") && !token::find(folder).is_empty();
    is_triplet || crate::platform::Platform::parse(text).is_ok()
}

/// The architecture names of one blank-separated piece, `offset` bytes into its word: in the text itself, or else in what
/// its variables hold.
pub fn hits_in<'a>(word: &'a Word, text: &str, offset: usize, known: &BTreeMap<String, Variable>) -> Vec<Hit<'a>> {
    if !token::is_file_like(text) || mentions_choice(text) {
        return Vec::new();
    }
    let literal = token::find(text).into_iter().filter(|token| !is_within_expansion(text, token.range.start));
    let literal: Vec<Hit<'a>> = literal
        .map(|token| Hit {
            spelled: text[token.range.clone()].to_string(),
            range: offset + token.range.start..offset + token.range.end,
            word,
            token,
            origins: Vec::new(),
            is_told_to_compiler: false,
        })
        .collect();
    if !literal.is_empty() || !text.contains('$') {
        return literal;
    }
    let (expanded, used) = dockerfile::expand(text, known);
    let found = token::find(&expanded).into_iter().next();
    let origin = |token: &Token| {
        let spelled = &expanded[token.range.clone()];
        used.iter().find(|variable| variable.value.as_ref().is_some_and(|(value, _)| value.contains(spelled))).copied()
    };
    let Some((token, variable)) = found.and_then(|token| origin(&token).map(|variable| (token, variable))) else {
        return Vec::new();
    };
    let at = dockerfile::references(text).into_iter().find(|(_, reference)| reference.name == variable.name);
    let range = at.map_or(0..text.len(), |(at, reference)| at..at + reference.length);
    vec![Hit {
        spelled: expanded[token.range.clone()].to_string(),
        range: offset + range.start..offset + range.end,
        word,
        token,
        origins: vec![variable.clone()],
        is_told_to_compiler: false,
    }]
}

/// The name is made of what is built for already: another architecture in it is part of a choice.
fn mentions_choice(text: &str) -> bool {
    ["TARGETARCH", "TARGETPLATFORM", "TARGETVARIANT", "BUILDARCH", "uname", "print-arch"]
        .iter()
        .any(|name| text.contains(name))
}

fn is_within_expansion(text: &str, at: usize) -> bool {
    let open = text[..at].rfind("${");
    open.is_some_and(|open| !text[open..at].contains('}'))
}
