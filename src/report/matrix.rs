//! The matrix of an image: a row for each platform on each target, for the formats that draw it.

use super::escape::visible;
use super::table;
use crate::scan::{ImageReport, Verdict};

/// What happens to one platform on one target; texts are ready to be shown.
pub struct Row {
    pub platform: String,
    pub target: String,
    pub says: String,
    pub is: String,
    pub programs: usize,
    pub starts: String,
    pub verdict: String,
    pub is_good: bool,
}

/// Every platform on every target it was judged on.
pub fn rows(image: &ImageReport) -> Vec<Row> {
    let of_platform = |platform| {
        table::verdicts(platform).into_iter().map(move |(target, verdict)| Row {
            platform: visible(&platform.label()),
            target: visible(&target),
            says: platform
                .declared
                .as_ref()
                .map_or_else(|| "-".to_string(), |p| visible(&table::short_platform(&p.to_string()))),
            is: table::architectures(platform),
            programs: platform.programs,
            starts: table::starts(platform),
            verdict: visible(&verdict.text),
            is_good: verdict.is_good,
        })
    };
    image.platforms.iter().flat_map(of_platform).collect()
}

/// The word on an image that stands before everything else.
pub fn headline(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fine => "OK",
        Verdict::Warned => "WARN",
        Verdict::Unknown => "COULD NOT TELL",
        Verdict::Broken => "FAIL",
    }
}
