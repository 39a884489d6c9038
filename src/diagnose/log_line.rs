//! The lines of a log: which container or process printed a line, and whether it reports an end.

/// Words of a line that reports a failure or an end, in lower case.
const ENDING: &[&str] = &[
    "fail",
    "error",
    "fatal",
    "panic",
    "cannot",
    "can't",
    "unable",
    "could not",
    "refused",
    "in use",
    "shut",
    "exit",
    "stop",
    "terminate",
    "terminating",
    "termination",
    "restart",
    "clean",
    "abort",
    "kill",
    "crash",
    "quit",
    "closing",
    "giving up",
    "gave up",
];

pub fn is_end(line: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(line).to_ascii_lowercase();
    ENDING.iter().any(|word| lower.contains(word))
}

/// The lines of `text` and their ends.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut end = 0;
    text.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        end += line.len();
        (line.strip_suffix(b"\n").unwrap_or(line), end)
    })
}

/// The part of a line that names the container or process that printed it, in logs of several: Compose's service,
/// kubectl's and stern's pod, the journal's process, a collector's field, CloudWatch's stream.
pub fn stream(line: &[u8]) -> &[u8] {
    const HEAD: usize = 200;
    const FIELDS: &[&[u8]] = &[b"\"pod_name\":\"", b"\"pod\":\"", b"\"container_name\":\"", b"\"container\":\""];
    let head = &line[..line.len().min(HEAD)];
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./\x1b[;".contains(byte);
    let until = |byte: u8| head.iter().position(|other| *other == byte);
    let service = until(b'|').map(|at| head[..at].trim_ascii());
    if let Some(service) = service.filter(|service| !service.is_empty() && service.iter().all(is_name)) {
        return service;
    }
    if head.starts_with(b"[pod/") {
        return until(b']').map_or(head, |at| &head[..at]);
    }
    if head.starts_with(b"{") {
        let field = FIELDS.iter().find_map(|field| line.windows(field.len()).position(|part| part == *field));
        let value = field.map(|at| &line[at..line.len().min(at + HEAD)]);
        return value
            .and_then(|value| value.splitn(4, |byte| *byte == b'"').nth(3))
            .map_or(b"", |rest| rest.split(|byte| *byte == b'"').next().unwrap_or_default());
    }
    let words = || head.split(|byte| byte.is_ascii_whitespace());
    let is_pod = |word: &&[u8]| {
        word.contains(&b'-')
            && word.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && word[0].is_ascii_lowercase()
    };
    // The journal's `app[812]:`, and `ecs/app/1f8bb2`.
    let is_process = |word: &&[u8]| word.ends_with(b"]:") && word[0] != b'[';
    let is_path = |word: &&[u8]| {
        let slashes = word.iter().filter(|byte| **byte == b'/').count();
        word[0].is_ascii_alphabetic() && slashes > 1 && !word.contains(&b':')
    };
    let named = words().filter(|word| !word.is_empty()).take(5).find(|word| is_process(word) || is_path(word));
    named.or_else(|| words().next().filter(|word| !word.is_empty()).filter(is_pod)).unwrap_or_default()
}
