//! Summarises the skipped tests and the reasons when the process ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Once;

/// Records that `test`, or the test that runs on this thread, was skipped.
pub fn record(test: &str, reason: &str) {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| {
        // SAFETY: `close` is a plain function that does not unwind.
        unsafe { libc::atexit(close) };
    });
    // libtest names a test's thread after the test, and names are unique.
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or(test);
    eprintln!("SKIPPED {test}: {reason}");
    let Ok(mut file) = open(&run()) else { return };
    let _ = file.seek(std::io::SeekFrom::End(0)).and_then(|_| writeln!(file, "{}\t{test}", reason.replace('\n', " ")));
}

/// Identifies this test run: under nextest, one run has many processes.
fn run() -> String {
    std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string())
}

/// Opens and locks the run's records. Drops those of other runs.
fn open(run: &str) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // A user without write access only gets the summary on stderr.
    let mut file = options
        .open(Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped.records"))
        .or_else(|_| options.open(std::env::temp_dir().join(format!("imgarch-skipped-{run}"))))?;
    file.lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if text.lines().next() != Some(run) {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{run}")?;
    }
    Ok(file)
}

/// Writes the summary after the last line of the test harness, which stops capturing output before.
extern "C" fn close() {
    let Ok(mut file) = open(&run()) else { return };
    let mut text = String::new();
    if file.rewind().and_then(|()| file.read_to_string(&mut text)).is_err() {
        return;
    }
    let summary = summary(&text);
    let _ = std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped.txt"), &summary);
    let _ = std::io::stderr().write_all(format!("\n{summary}\n").as_bytes());
}

/// One line for each reason, the most frequent first.
fn summary(records: &str) -> String {
    let mut by_reason: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (reason, test) in records.lines().filter_map(|line| line.split_once('\t')) {
        by_reason.entry(reason).or_default().insert(test);
    }
    let mut rows: Vec<_> = by_reason.into_iter().map(|(reason, tests)| (tests.len(), reason)).collect();
    rows.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let plural = |count: usize| if count == 1 { "test" } else { "tests" };
    rows.iter().map(|(count, reason)| format!("{count} {} skipped: {reason}\n", plural(*count))).collect()
}

#[test]
fn skipped_tests_are_counted_by_reason() {
    let records = "7\nno podman\tb\nno root\ta\nno root\tc\nno root\ta\n";
    assert_eq!(summary(records), "2 tests skipped: no root\n1 test skipped: no podman\n");
}
