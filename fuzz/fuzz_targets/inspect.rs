//! Any bytes under any name that counts: no panic, no hang, and the same answer however they arrive.
#![no_main]

use std::io::Read;

use imgarch::inspect::inspect;
use libfuzzer_sys::fuzz_target;

const PATHS: [&[u8]; 7] = [
    b"usr/bin/app",
    b"app.jar",
    b"node_modules/a/package.json",
    b"a-1.dist-info/WHEEL",
    b"etc/passwd",
    b"usr/lib/debug/a.debug",
    b"a.docx",
];

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let (path, is_executable) = (PATHS[usize::from(choice & 7) % PATHS.len()], choice & 8 != 0);
    // A tar header may promise more than there is.
    let size = bytes.len() as u64 + u64::from(choice >> 4) * 1000;
    let whole = inspect(path, size, is_executable, &mut &bytes[..]);
    let mut halves = bytes[..bytes.len() / 2].chain(&bytes[bytes.len() / 2..]);
    assert_eq!(inspect(path, size, is_executable, &mut halves), whole);
});
