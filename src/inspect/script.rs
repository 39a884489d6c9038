//! Parses the `#!` line, byte for byte like the kernel. Whether the interpreter exists is not checked here. Source:
//! fs/binfmt_script.c `load_script`, Linux 5.1 and later.

use super::kind::{HEAD_BYTES, SCRIPT_BYTES, Shebang, ShebangError, ShebangFile};
use super::launcher::{self, LAUNCHER_BYTES};
use super::window::Window;
use super::zip;
use crate::platform::binfmt::BINPRM_BUF_SIZE;

/// Reads the script at the start of `window`: its first line, and as much of its text as is useful.
pub fn inspect(is_executable: bool, window: &mut Window<'_>) -> ShebangFile {
    let mut buf = [0; BINPRM_BUF_SIZE];
    let len = window.head().len().min(BINPRM_BUF_SIZE);
    buf[..len].copy_from_slice(&window.head()[..len]);
    let shebang = shebang(&buf);
    let kept = match &shebang {
        Ok(line) if !is_shell(line) => {
            let is_small = is_executable && window.size() <= LAUNCHER_BYTES && window.size() > BINPRM_BUF_SIZE as u64;
            if is_small {
                window.want(0, LAUNCHER_BYTES);
                window.pass_wanted();
            }
            let is_kept = is_small && launcher::is_launching_script(window.head());
            if is_kept { LAUNCHER_BYTES as usize } else { BINPRM_BUF_SIZE }
        }
        _ if is_executable => {
            window.want(0, SCRIPT_BYTES as u64);
            window.pass_wanted();
            SCRIPT_BYTES
        }
        _ => HEAD_BYTES,
    };
    let text = window.head();
    let text = &text[..text.len().min(kept)];
    let (is_whole, text) = (text.len() as u64 == window.size(), text.into());
    let archive = archive_start(&shebang, window.head());
    ShebangFile { shebang, is_whole, text, zip: archive.map(|start| Box::new(zip::inspect_after(window, start))) }
}

/// The offset of the archive in a zipapp, which follows the first line.
fn archive_start(shebang: &Result<Shebang, ShebangError>, head: &[u8]) -> Option<u64> {
    let start = head[..head.len().min(BINPRM_BUF_SIZE)].iter().position(|byte| *byte == b'\n')? + 1;
    (shebang.is_ok() && head[start..].starts_with(b"PK\x03\x04")).then_some(start as u64)
}

/// Parses the first line in `buf`, the zero-padded first 256 bytes of a file that starts with `#!`.
pub fn shebang(buf: &[u8; BINPRM_BUF_SIZE]) -> Result<Shebang, ShebangError> {
    let buf_end = BINPRM_BUF_SIZE - 1;
    let line_end = buf.iter().position(|byte| matches!(byte, b'\n' | 0)).filter(|at| buf[*at] == b'\n');
    let mut end = match line_end {
        Some(end) => end,
        None => {
            let name = next_non_blank(buf, 2, buf_end).ok_or(ShebangError::Empty)?;
            // "If there is no later space/tab/NUL we must assume the interpreter path is truncated."
            next_terminator(buf, name, buf_end).ok_or(ShebangError::TooLong)?;
            buf_end
        }
    };
    while is_blank(buf[end - 1]) {
        end -= 1;
    }
    let name = next_non_blank(buf, 2, end).filter(|name| *name != end).ok_or(ShebangError::Empty)?;
    let separator = next_terminator(buf, name, end);
    let argument = separator.filter(|at| buf[*at] != 0).and_then(|at| next_non_blank(buf, at, end));
    let name_end = separator.filter(|_| argument.is_some()).unwrap_or(end);
    let argument = argument.map(|start| until_nul(&buf[start..end]));
    Ok(Shebang { interpreter: until_nul(&buf[name..name_end]), argument })
}

/// Whether the interpreter is a Bourne-like shell or a program with similar scripts, which name commands by path.
pub fn is_shell(shebang: &Shebang) -> bool {
    let base = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
    let name = base(&shebang.interpreter);
    let words = shebang.argument.iter().flat_map(|argument| argument.split(|byte| byte.is_ascii_whitespace()));
    let named = if [b"env".as_slice(), b"busybox", b"dumb-init", b"tini"].iter().any(|start| name.starts_with(start)) {
        words.map(base).find(|word| !word.is_empty() && !word.starts_with(b"-") && !word.contains(&b'='))
    } else {
        Some(name)
    };
    let shells: [&[u8]; 11] = [
        b"sh",
        b"bash",
        b"dash",
        b"ash",
        b"ksh",
        b"mksh",
        b"zsh",
        b"busybox",
        b"execlineb",
        b"with-contenv",
        b"command",
    ];
    named.is_some_and(|name| {
        let name = name.strip_suffix(b"\r").unwrap_or(&name);
        shells.contains(&name)
    })
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Both ends are inclusive, as in the kernel.
fn next_non_blank(buf: &[u8], first: usize, last: usize) -> Option<usize> {
    (first..=last).find(|at| !is_blank(buf[*at]))
}

fn next_terminator(buf: &[u8], first: usize, last: usize) -> Option<usize> {
    (first..=last).find(|at| is_blank(buf[*at]) || buf[*at] == 0)
}

fn until_nul(bytes: &[u8]) -> Vec<u8> {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &[u8], expected: Result<(&str, Option<&str>), ShebangError>) {
        let mut buf = [0; BINPRM_BUF_SIZE];
        let len = file.len().min(BINPRM_BUF_SIZE);
        buf[..len].copy_from_slice(&file[..len]);
        let expected = expected.map(|(interpreter, argument)| Shebang {
            interpreter: interpreter.as_bytes().to_vec(),
            argument: argument.map(|argument| argument.as_bytes().to_vec()),
        });
        assert_eq!(shebang(&buf), expected, "{}", file.escape_ascii());
    }

    #[test]
    fn blanks_around_path_and_argument_are_dropped() {
        check(b"#!/bin/sh\n", Ok(("/bin/sh", None)));
        check(b"#!   /bin/sh   \n", Ok(("/bin/sh", None)));
        check(b"#!\t/bin/sh\t-e \t\n", Ok(("/bin/sh", Some("-e"))));
        check(b"#!/usr/bin/env -S sh  -e\n", Ok(("/usr/bin/env", Some("-S sh  -e"))));
    }

    #[test]
    fn a_carriage_return_belongs_to_the_last_word() {
        check(b"#!/bin/sh\r\nexit\r\n", Ok(("/bin/sh\r", None)));
        check(b"#!/bin/sh -e\r\n", Ok(("/bin/sh", Some("-e\r"))));
    }

    #[test]
    fn the_end_of_the_file_ends_the_line() {
        check(b"#!/bin/sh", Ok(("/bin/sh", None)));
        // Without a newline, the blanks at the end are not trimmed, so the argument is an empty word.
        check(b"#!/bin/sh ", Ok(("/bin/sh", Some(""))));
        check(b"#!/bin/sh -e", Ok(("/bin/sh", Some("-e"))));
        check(b"#!", Ok(("", None)));
        check(b"#!  ", Ok(("", None)));
    }

    #[test]
    fn a_line_of_blanks_has_no_interpreter() {
        check(b"#!\n/bin/sh\n", Err(ShebangError::Empty));
        check(b"#!  \t \n", Err(ShebangError::Empty));
        check(&[b"#!".as_slice(), &[b' '; 300]].concat(), Err(ShebangError::Empty));
    }

    #[test]
    fn a_nul_ends_the_path() {
        check(b"#!/bin/sh\0-e\n", Ok(("/bin/sh", None)));
        check(b"#!/bin/sh -e\0x\n", Ok(("/bin/sh", Some("-e"))));
    }

    #[test]
    fn a_path_over_253_bytes_is_refused_and_an_argument_is_cut() {
        let path = |len: usize| format!("/bin{}sh", "/".repeat(len - 6));
        let line = |path: &str, rest: &str| format!("#!{path}{rest}").into_bytes();
        check(&line(&path(253), "\n"), Ok((&path(253), None)));
        check(&line(&path(252), "\nx"), Ok((&path(252), None)));
        check(&line(&path(254), "\n"), Err(ShebangError::TooLong));
        check(&line(&path(253), " arg\n"), Ok((&path(253), None)));
        let argument = "a".repeat(300);
        check(&line("/bin/sh", &format!(" {argument}\n")), Ok(("/bin/sh", Some(&argument[..245]))));
    }

    #[test]
    fn shells_are_distinguished_from_other_languages() {
        let shell = |line: &str| {
            let mut buf = [0; BINPRM_BUF_SIZE];
            buf[..line.len()].copy_from_slice(line.as_bytes());
            is_shell(&shebang(&buf).unwrap())
        };
        assert!(shell("#!/bin/sh\n") && shell("#!/usr/bin/env bash\n") && shell("#!/usr/bin/env -S bash -e\n"));
        assert!(shell("#!/bin/busybox sh\n") && shell("#!/bin/bash\r\n") && shell("#!/usr/bin/with-contenv bash\n"));
        assert!(!shell("#!/usr/bin/python3\n") && !shell("#!/usr/bin/env node\n") && !shell("#!/usr/bin/env\n"));
    }
}
