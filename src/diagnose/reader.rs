//! Reads a log of any size in pieces, with bounded memory, and in the encodings that tools write.

use std::io::{self, Read};

use super::log_source::{self, LogSource};
use super::recognise::Recogniser;
use super::symptom::Symptom;

/// Bytes of a log that are read at once.
const PIECE: usize = 1 << 20;

static ZEROS: [u8; PIECE] = [0; PIECE];

/// Bytes of a very long line that are read twice, so that a message at the end of one piece is complete in the next.
const OVERLAP: usize = 4 << 10;

/// Bytes of a log that are read. A device or a pipe may never end.
const LIMIT: u64 = 1 << 30;

/// The result of reading a log.
#[derive(Debug, Default)]
pub struct LogContent {
    pub symptoms: Vec<Symptom>,
    /// The failing image, if the log names it.
    pub image: Option<String>,
    /// The pod that the log names, as arguments of kubectl.
    pub pod: Option<String>,
    pub source: LogSource,
    /// Whether it contains anything except whitespace.
    pub has_text: bool,
    /// Whether a program printed something after an engine's warning that image and machine differ.
    pub goes_on: bool,
    /// Whether the log is longer than the part that was read, which is its first [`LIMIT_TEXT`].
    pub is_cut: bool,
}

/// How much of a log is read, for messages.
pub const LIMIT_TEXT: &str = "1 GiB";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// UTF-8, or an 8-bit code page in which messages are ASCII.
    Bytes,
    /// Written by PowerShell's `>`.
    Utf16Le,
    Utf16Be,
}

/// Reads `log` to its end or to the limit, in constant memory.
///
/// # Errors
/// Errors of reading `log`.
pub fn read_log(log: impl Read) -> io::Result<LogContent> {
    read_up_to(LIMIT, log)
}

fn read_up_to(limit: u64, log: impl Read) -> io::Result<LogContent> {
    let mut log = log.take(limit);
    let mut found = LogContent::default();
    let mut recogniser = Recogniser::default();
    let mut raw = vec![0; PIECE];
    let mut filled = 0;
    let mut text: Vec<u8> = Vec::with_capacity(2 * PIECE);
    let mut encoding = None;
    let mut head: Option<String> = None;
    loop {
        let count = log.read(&mut raw[filled..])?;
        filled += count;
        if count > 0 && filled < PIECE {
            continue;
        }
        let encoding = *encoding.get_or_insert_with(|| encoding_of(&raw[..filled]));
        let used = decode(encoding, &raw[..filled], &mut text);
        raw.copy_within(used..filled, 0);
        filled -= used;
        head.get_or_insert_with(|| String::from_utf8_lossy(&text[..text.len().min(log_source::HEAD)]).into_owned());
        found.has_text |= text.iter().any(|byte| !byte.is_ascii_whitespace());
        if count == 0 {
            recogniser.feed(&text);
            break;
        }
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
        recogniser.feed(&text[..whole]);
        // A long line may continue in the next line, so it is read again with that one.
        let last = text[..whole.saturating_sub(1)].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = match text[..whole].last() {
            Some(b'\n') if whole - last < OVERLAP => whole,
            Some(b'\n') => last,
            Some(_) | None => whole - OVERLAP.min(whole),
        };
        // A line without an end is read in windows.
        let rest = rest.max(text.len().saturating_sub(PIECE));
        text.drain(..rest);
    }
    found.is_cut = log.limit() == 0 && log.get_mut().read(&mut [0])? > 0;
    found.image = recogniser.image().map(str::to_string);
    found.symptoms = recogniser.symptoms;
    let head = head.unwrap_or_default();
    found.source = log_source::source_of(&head, &found.symptoms);
    found.pod = log_source::pod_of(&head, &found.symptoms);
    found.goes_on = recogniser.goes_on;
    Ok(found)
}

/// Reads text in memory, such as a pasted message.
pub fn read_text(text: &str) -> LogContent {
    read_log(text.as_bytes()).expect("reading from memory does not fail")
}

/// Detects the encoding by the byte order mark, or by the zero bytes of ASCII text in UTF-16.
fn encoding_of(head: &[u8]) -> Encoding {
    const SAMPLE: usize = 512;
    match head {
        [0xff, 0xfe, ..] => return Encoding::Utf16Le,
        [0xfe, 0xff, ..] => return Encoding::Utf16Be,
        _ => {}
    }
    let sample = &head[..head.len().min(SAMPLE)];
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let pairs = sample.len() / 2;
    match (zeros(0), zeros(1)) {
        (0, high) if pairs > 1 && 2 * high > pairs => Encoding::Utf16Le,
        (high, 0) if pairs > 1 && 2 * high > pairs => Encoding::Utf16Be,
        _ => Encoding::Bytes,
    }
}

/// Appends `raw` to `text` as UTF-8 and returns how many bytes were used.
fn decode(encoding: Encoding, raw: &[u8], text: &mut Vec<u8>) -> usize {
    let unit: fn([u8; 2]) -> u16 = match encoding {
        Encoding::Bytes => {
            // Zero bytes: a tool appended UTF-16 to a file in another encoding.
            match raw.contains(&0) {
                // The empty part of a sparse file, or a device.
                true if *raw == ZEROS[..raw.len()] => {}
                true => text.extend(raw.iter().filter(|byte| **byte != 0)),
                false => text.extend_from_slice(raw),
            }
            return raw.len();
        }
        Encoding::Utf16Le => u16::from_le_bytes,
        Encoding::Utf16Be => u16::from_be_bytes,
    };
    let units = raw.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut buffer = [0; 4];
    for decoded in char::decode_utf16(units) {
        let c = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    }
    raw.len() - raw.len() % 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::message::Sign;
    use crate::exec::Errno;

    const LOG: &str = "starting\r\nexec /usr/local/bin/app: exec format error\r\n";

    fn check(bytes: &[u8], path: &str) {
        let found = read_log(bytes).unwrap();
        let symptoms: Vec<_> = found.symptoms.iter().map(|symptom| (symptom.sign, symptom.path.as_deref())).collect();
        assert_eq!(symptoms, [(Sign::Exec(Errno::ENOEXEC), Some(path))]);
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn encodings_of_windows_tools_are_read() {
        check(LOG.as_bytes(), "/usr/local/bin/app");
        check(&[b"\xef\xbb\xbf", LOG.as_bytes()].concat(), "/usr/local/bin/app");
        check(&utf16(LOG, u16::to_le_bytes), "/usr/local/bin/app");
        check(&utf16(&format!("\u{feff}{LOG}"), u16::to_le_bytes), "/usr/local/bin/app");
        check(&utf16(&format!("\u{feff}{LOG}"), u16::to_be_bytes), "/usr/local/bin/app");
        check(&[b"first\n".to_vec(), utf16(LOG, u16::to_le_bytes)].concat(), "/usr/local/bin/app");
        let german = "\u{feff}bash: ./app: Kann die Binärdatei nicht ausführen: Fehler im Format der Programmdatei\r\n";
        check(&utf16(german, u16::to_le_bytes), "./app");
    }

    #[test]
    fn a_message_across_pieces_is_found() {
        for before in [PIECE - 60, PIECE - 30, PIECE - 1, PIECE, 3 * PIECE - 20] {
            let lines = [b"x\n".repeat(before / 2), LOG.as_bytes().to_vec(), b"y\n".repeat(PIECE)].concat();
            check(&lines, "/usr/local/bin/app");
            let endless =
                [b"x ".repeat(before / 2), b"exec /app: exec format error".to_vec(), b" y".repeat(PIECE)].concat();
            check(&endless, "/app");
        }
    }

    #[test]
    fn a_log_without_an_end_is_read_to_the_limit() {
        let limit = 3 * PIECE as u64;
        for byte in [0, b'x', b' ', b'\n'] {
            let found = read_up_to(limit, io::repeat(byte)).unwrap();
            assert!(found.is_cut && found.symptoms.is_empty(), "{byte}");
        }
        let endless = LOG.as_bytes().chain(io::repeat(b'x'));
        assert_eq!(read_up_to(limit, endless).unwrap().symptoms.len(), 1);
        assert!(!read_up_to(limit, &vec![b'x'; 3 * PIECE][..]).unwrap().is_cut);
    }

    #[test]
    fn an_empty_log_has_no_text() {
        assert!(!read_log(&b" \r\n\n"[..]).unwrap().has_text);
        assert!(!read_log(&b""[..]).unwrap().has_text);
        assert!(read_log(&b"x"[..]).unwrap().has_text);
    }
}
