//! Text without a shebang, including the results of failed downloads and checkouts. Only the first bytes of the file
//! are read.

use super::kind::{FileKind, Language, TextStart};

/// Enough bytes to distinguish text from data. A program's magic number is in the first of them.
const SNIFF_BYTES: usize = 512;
/// Error pages and messages saved as files are short.
const ERROR_PAGE_BYTES: u64 = 4 << 10;
/// Maximum length of the first line of an error page, for display.
const LINE_BYTES: usize = 200;

/// Distinguishes kinds of text; anything else is data. `head` is the start of the file and `size` its size. The
/// language of source text is detected only in executable files, because it matters when they are executed.
pub fn inspect(head: &[u8], size: u64, is_executable: bool) -> FileKind {
    if let Some(start) = near_shebang(head) {
        return FileKind::Text(start);
    }
    let sniffed = &head[..head.len().min(SNIFF_BYTES)];
    // Without an early exit, many bytes are tested at once. Most files are text.
    if !sniffed.iter().fold(true, |all, byte| all & is_text(*byte)) {
        return if is_utf16(head) { FileKind::Text(TextStart::Plain) } else { FileKind::Data };
    }
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return FileKind::LfsPointer;
    }
    let text = sniffed.trim_ascii_start();
    match text.first() {
        Some(b'<') if is_html(text) => FileKind::Html,
        Some(b'<' | b'{' | b'N' | b'n' | b'4' | b'5' | b'F' | b'B' | b'A' | b'U')
            if size <= ERROR_PAGE_BYTES && is_error(text) =>
        {
            let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
            let line = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES)]).into_owned();
            FileKind::Text(TextStart::ErrorPage(Box::new(line)))
        }
        _ => {
            let language = if is_executable { source(text) } else { None };
            FileKind::Text(language.map_or(TextStart::Plain, TextStart::Source))
        }
    }
}

/// The language of source text, from its first statement. Words that are also shell commands (`export`, `let`, `set`)
/// are not used.
fn source(text: &[u8]) -> Option<Language> {
    const STARTS: &[(Language, &[&str])] = &[
        (Language::Php, &["<?php"]),
        (
            Language::C,
            &["#include", "#define ", "#ifndef ", "#ifdef ", "#pragma ", "int main(", "namespace ", "using namespace "],
        ),
        (Language::Rust, &["#![", "fn main(", "use std::", "use crate::", "extern crate ", "pub mod ", "pub fn "]),
        (Language::Java, &["import java", "public class ", "public final class ", "public interface "]),
        (
            Language::JavaScript,
            &[
                "\"use strict\"",
                "'use strict'",
                "const ",
                "var ",
                "require(",
                "module.exports",
                "import {",
                "import * as ",
            ],
        ),
        (Language::Python, &["from __future__", "import ", "from ", "def ", "class ", "\"\"\""]),
    ];
    let text = after_comments(text);
    let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    if let Some(package) = line.strip_prefix(b"package ") {
        return Some(if package.trim_ascii_end().ends_with(b";") { Language::Java } else { Language::Go });
    }
    let is_one = |starts: &[&str]| starts.iter().any(|start| line.starts_with(start.as_bytes()));
    STARTS.iter().find(|(_, starts)| is_one(starts)).map(|(language, _)| *language)
}

/// Skips comments in the style of C. `#` is not skipped: it starts a comment in shell, but also a statement in C.
fn after_comments(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii_start();
    loop {
        let end = match text {
            [b'/', b'/', ..] => text.iter().position(|byte| *byte == b'\n'),
            [b'/', b'*', ..] => text.windows(2).position(|pair| pair == b"*/").map(|at| at + 2),
            _ => return text,
        };
        let Some(end) = end else { return text };
        text = text[end..].trim_ascii_start();
    }
}

/// Printable, blank (`\x08` to `\r`), an escape, or part of a character outside ASCII.
fn is_text(byte: u8) -> bool {
    (byte >= 0x20) & (byte != 0x7f) | (byte.wrapping_sub(0x08) <= 5) | (byte == 0x1b)
}

/// A `#!` after the first byte, which kernels ignore.
fn near_shebang(head: &[u8]) -> Option<TextStart> {
    let utf16: [&[u8]; 4] = [b"\xff\xfe#\0!\0", b"\xfe\xff\0#\0!", b"#\0!\0", b"\0#\0!"];
    match head.first()? {
        0xef if head.starts_with(b"\xef\xbb\xbf#!") => Some(TextStart::BomShebang),
        0xff | 0xfe | b'#' | 0 => utf16.iter().any(|start| head.starts_with(start)).then_some(TextStart::BomShebang),
        b' ' | b'\t' | b'\r' | b'\n' => head.trim_ascii_start().starts_with(b"#!").then_some(TextStart::BlankShebang),
        _ => None,
    }
}

fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff")
}

fn is_html(text: &[u8]) -> bool {
    let starts = [b"<!doctype html".as_slice(), b"<html", b"<head", b"<body"];
    starts.iter().any(|start| text.len() >= start.len() && text[..start.len()].eq_ignore_ascii_case(start))
}

/// The response of a web server, object store or registry in place of a file: a status, an XML error or a JSON error.
fn is_error(text: &[u8]) -> bool {
    match text.first() {
        Some(b'<') => has(text, b"<error>") || (has(text, b"<code>") && has(text, b"<message>")),
        Some(b'{') => {
            has(text, b"\"errors\":") && has(text, b"\"code\"")
                || has(text, b"\"message\":\"not found\"")
                || has(text, b"\"message\": \"not found\"")
        }
        _ => {
            let first = text.first().map(u8::to_ascii_lowercase);
            let starts_with = |start: &[u8]| {
                first == start.first().copied()
                    && text.len() >= start.len()
                    && start.eq_ignore_ascii_case(&text[..start.len()])
            };
            let is_line =
                || text.iter().take(STATUS_BYTES + 1).any(|byte| *byte == b'\n') || text.len() <= STATUS_BYTES;
            STATUSES.into_iter().any(starts_with) && is_line()
        }
    }
}

/// Starts of a status line that was saved as a file.
const STATUSES: [&[u8]; 14] = [
    b"not found",
    b"404: not found",
    b"404 not found",
    b"404 page not found",
    b"404 -",
    b"403 forbidden",
    b"403: forbidden",
    b"forbidden",
    b"access denied",
    b"unauthorized",
    b"500 internal server error",
    b"502 bad gateway",
    b"503 service unavailable",
    b"bad gateway",
];
/// Maximum length of a status line.
const STATUS_BYTES: usize = 80;

/// Whether a text contains these words, ignoring case. The words must not start with a letter.
fn has(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|part| part[0] == words[0] && part.eq_ignore_ascii_case(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: FileKind) {
        assert_eq!(inspect(bytes, bytes.len() as u64, true), expected, "{}", bytes.escape_ascii());
    }

    fn page(line: &str) -> FileKind {
        FileKind::Text(TextStart::ErrorPage(Box::new(line.to_string())))
    }

    #[test]
    fn a_shebang_that_kernels_ignore_is_recognised() {
        for bytes in [b"\xef\xbb\xbf#!/bin/sh\n".as_slice(), b"\xff\xfe#\0!\0/\0", b"\xfe\xff\0#\0!", b"#\0!\0/\0"] {
            check(bytes, FileKind::Text(TextStart::BomShebang));
        }
        for bytes in [b"\n#!/bin/sh\n".as_slice(), b"  #!/bin/sh\n", b"\r\n#!/bin/sh\r\n", b"\t\n\n#!/bin/sh"] {
            check(bytes, FileKind::Text(TextStart::BlankShebang));
        }
        check(b"# !/bin/sh\n", FileKind::Text(TextStart::Plain));
    }

    #[test]
    fn the_result_of_a_failed_download_is_recognised() {
        check(b"Not Found", page("Not Found"));
        check(b"404: Not Found\n", page("404: Not Found"));
        check(b"404 page not found\n", page("404 page not found"));
        let denied = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        check(denied.as_bytes(), page(denied));
        let unknown = "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"blob unknown\"}]}";
        check(unknown.as_bytes(), page(unknown));
        check(b"<!DOCTYPE html>\n<html><title>x</title>", FileKind::Html);
        check(b"\n<HTML><body>", FileKind::Html);
        check(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", FileKind::LfsPointer);
    }

    #[test]
    fn source_text_is_recognised_by_its_first_statement() {
        let is = |bytes: &[u8], language| check(bytes, FileKind::Text(TextStart::Source(language)));
        is(b"// Copyright\n\npackage main\n\nimport \"fmt\"\n", Language::Go);
        is(b"/* main */\n#include <stdio.h>\n", Language::C);
        is(b"package a.b;\nclass C {}\n", Language::Java);
        is(b"import os\nprint(os.name)\n", Language::Python);
        is(b"const express = require('express');\n", Language::JavaScript);
        is(b"fn main() {}\n", Language::Rust);
        is(b"<?php echo 1;\n", Language::Php);
        for bytes in [b"set -e\nexec app\n".as_slice(), b"export A=1\n", b"# import os\nls\n", b"echo import x\n"] {
            check(bytes, FileKind::Text(TextStart::Plain));
        }
    }

    #[test]
    fn plain_text_and_data_are_not_source_or_error_pages() {
        for bytes in
            [b"hello\n".as_slice(), b"Not Foundry: a long text\nwith lines\n", b"{\"a\": 1}", b"<xml/>", b"4 8 15\n"]
        {
            let kind = inspect(bytes, 100_000, true);
            assert_eq!(kind, FileKind::Text(TextStart::Plain), "{}", bytes.escape_ascii());
        }
        check("größer\n".as_bytes(), FileKind::Text(TextStart::Plain));
        check(b"\xff\xfea\0b\0", FileKind::Text(TextStart::Plain));
        check(b"\x01\x02\x03\x04", FileKind::Data);
        check(b"text\0then a zero", FileKind::Data);
    }
}
