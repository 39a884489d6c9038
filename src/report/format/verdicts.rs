//! Writes a ConfigMap with the verdict of each digest, for admission policies that look up digests.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::json;

use super::json::verdict_word;
use crate::oci::Digest;
use crate::report::terminal::Screen;
use crate::report::{LintRun, ReportStyle};
use crate::scan::{Report, Verdict};

/// The maximum number of digests, because a ConfigMap has at most 1 MiB. Images that do not run come first.
const MAX_DIGESTS: usize = 10_000;

pub fn write(report: &Report, _: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut verdicts: BTreeMap<&Digest, Verdict> = BTreeMap::new();
    for image in &report.images {
        let own = image.digest.iter().map(|digest| (digest, image.verdict()));
        let platforms = image.platforms.iter().filter_map(|one| Some((one.digest.as_ref()?, one.verdict())));
        for (digest, verdict) in own.chain(platforms) {
            // One image can be started with several commands; the worst verdict counts.
            verdicts.entry(digest).and_modify(|known| *known = verdict.max(*known)).or_insert(verdict);
        }
    }
    let mut verdicts: Vec<(&Digest, Verdict)> = verdicts.into_iter().collect();
    verdicts.sort_by_key(|(_, verdict)| std::cmp::Reverse(*verdict));
    let kept = verdicts.iter().take(MAX_DIGESTS);
    // Keys of a ConfigMap cannot contain a colon.
    let key = |digest: &Digest| format!("{}.{}", digest.algorithm(), digest.hex());
    write_map(kept.map(|(digest, verdict)| (key(digest), verdict_word(*verdict))).collect(), out)
}

/// Writes an empty map, because files do not have a digest.
pub fn write_lint(_: &LintRun<'_>, _: Screen, out: &mut dyn Write) -> io::Result<()> {
    write_map(BTreeMap::new(), out)
}

fn write_map(data: BTreeMap<String, &'static str>, out: &mut dyn Write) -> io::Result<()> {
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "imgarch-verdicts", "labels": {"app.kubernetes.io/managed-by": "imgarch"}},
        "data": data,
    });
    serde_json::to_writer_pretty(&mut *out, &map)?;
    writeln!(out)
}
