//! Text that starts programs, although its name does not show it: files that scripts source, and small programs of Python, Node.js,
//! Ruby, Perl, PHP and Lua that start another program by its path.

use super::named::{self, extension};

/// Maximum size of a launcher in bytes. Longer programs do more than start another one.
pub const LAUNCHER_BYTES: u64 = 16 << 10;

/// Directories of packages, whose files are not an image's own scripts.
const PACKAGED_IN_USR: [&[u8]; 5] = [b"share/", b"lib/", b"include/", b"src/", b"local/lib/"];
const INSTALLED: [&[u8]; 4] = [b"node_modules", b"site-packages", b"dist-packages", b".git"];

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether the file belongs to the image's author rather than to a package.
pub fn is_own(path: &[u8]) -> bool {
    let is_packaged = match path {
        [b'u', b's', b'r', b'/', rest @ ..] => PACKAGED_IN_USR.iter().any(|directory| rest.starts_with(directory)),
        [b'v', b'a', b'r', b'/', b'l', b'i', b'b', b'/', ..] | [b'p', b'r', b'o', b'c', b'/', ..] => true,
        _ => false,
    };
    !is_packaged && !named::is_in_any(path, &INSTALLED)
}

/// The calls that start a program, in the languages whose files have this extension. Empty for other extensions.
fn calls(extension: &[u8]) -> &'static [&'static [u8]] {
    match extension {
        b".py" => &[b"subprocess", b"os.exec", b"os.spawn", b"os.system", b"os.popen", b"posix_spawn", b"execv"],
        b".js" | b".cjs" | b".mjs" | b".ts" => &[b"child_process", b"execa", b"Bun.spawn", b"Deno.Command"],
        b".rb" => &[b"exec", b"system", b"spawn", b"Open3"],
        b".pl" => &[b"exec", b"system"],
        b".php" => &[b"exec(", b"system(", b"passthru(", b"proc_open(", b"popen("],
        b".lua" => &[b"os.execute", b"io.popen"],
        _ => &[],
    }
}

/// Whether the file at `path`, of `size` bytes, is worth reading to ask [`is_launcher`].
pub fn may_be_launcher(path: &[u8], size: u64) -> bool {
    size <= LAUNCHER_BYTES && !calls(extension(path)).is_empty() && is_own(path)
}

/// Whether a program's text starts another program and names an absolute path in quotes.
pub fn is_launcher(path: &[u8], text: &[u8]) -> bool {
    calls(extension(path)).iter().any(|call| has(text, call)) && names_path(text)
}

/// Whether a script for an interpreter other than a shell starts another program. Its language is not known here.
pub fn is_launching_script(text: &[u8]) -> bool {
    const CALLS: [&[u8]; 6] = [b"subprocess", b"os.exec", b"os.system", b"child_process", b"exec", b"system"];
    CALLS.iter().any(|call| has(text, call)) && names_path(text)
}

fn names_path(text: &[u8]) -> bool {
    text.windows(3).any(|part| matches!(part, [b'"' | b'\'' | b'`', b'/', c] if c.is_ascii_alphanumeric()))
}

/// Whether the name has no extension, and the file belongs to the image's author.
pub fn is_own_program(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    !name.iter().skip(1).any(|byte| *byte == b'.') && is_own(path)
}

/// Whether a text whose name has no extension is meant for a shell, by its start: an assignment, a function, `export`
/// or an option of the shell. Scripts source such files: `/app/config`, `/usr/local/bin/functions`.
pub fn is_shell_text(path: &[u8], head: &[u8]) -> bool {
    if !is_own_program(path) {
        return false;
    }
    let lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let Some(line) = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with(b"#")) else { return false };
    let line = [b"export ".as_slice(), b"readonly ", b"declare ", b"local "]
        .iter()
        .find_map(|word| line.strip_prefix(*word))
        .unwrap_or(line);
    let end = line.iter().position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'-'));
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    let is_name = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    let is_assignment = matches!(rest, [b'=', after @ ..] if !after.starts_with(b" "));
    let is_function = rest.trim_ascii_start().starts_with(b"()");
    let starts = [b"set -".as_slice(), b"function ", b". /", b"source ", b"exec ", b"if [", b"trap ", b"umask "];
    is_name && (is_assignment || is_function) || starts.iter().any(|start| line.starts_with(start))
}

/// Whether a text is kept only to be followed where a script or an interpreter reads it. The paths in it are not
/// settings: a program may name one for each platform.
pub fn is_only_followed(path: &[u8], text: &[u8]) -> bool {
    let is_other = named::is_followed_path(path, true) || named::is_services_text(path, text);
    !is_other && (!calls(extension(path)).is_empty() || is_shell_text(path, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_start_another_one_are_launchers() {
        for (path, text, expected) in [
            ("app/run.py", "import subprocess\nsubprocess.run(['/opt/app'])\n", true),
            ("app/run.py", "import subprocess\nsubprocess.run(['app'])\n", false),
            ("app/run.py", "print('/opt/app')\n", false),
            ("app/run.mjs", "import { spawn } from 'child_process';\nspawn('/opt/app');\n", true),
            ("app/run.rb", "exec \"/opt/app\"\n", true),
            ("usr/lib/python3/os.py", "os.execv('/opt/app')\n", false),
            ("app/node_modules/a/run.js", "require('child_process').spawn('/opt/app')\n", false),
            ("app/run.txt", "subprocess '/opt/app'\n", false),
        ] {
            let is_one =
                may_be_launcher(path.as_bytes(), text.len() as u64) && is_launcher(path.as_bytes(), text.as_bytes());
            assert_eq!(is_one, expected, "{path} {text}");
        }
        assert!(!may_be_launcher(b"app/run.py", LAUNCHER_BYTES + 1));
    }

    #[test]
    fn shell_text_is_known_by_its_first_statement() {
        for (path, text, expected) in [
            ("app/config", "# a\n\nAPP_HOME=/opt\n", true),
            ("app/lib", "start_app() {\n exec x\n}\n", true),
            ("root/.bashenv", "export PATH=/opt:$PATH\n", true),
            ("app/lib", "set -eu\n", true),
            ("app/README", "This program = good\n", false),
            ("app/LICENSE", "Copyright (c) 2020\n", false),
            ("app/data", "a = 1\n", false),
            ("app/config.yaml", "APP=1\n", false),
            ("usr/share/doc/a/copyright", "A=1\n", false),
        ] {
            assert_eq!(is_shell_text(path.as_bytes(), text.as_bytes()), expected, "{path} {text}");
        }
    }
}
