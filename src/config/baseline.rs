//! The findings that existed when a project started to check. They are accepted until they are fixed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::judge::code::Severity;
use crate::scan::fingerprint;
use crate::scan::{PlatformReport, Report};

const SCHEMA: u32 = 1;

/// Fingerprints of accepted findings.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    known: BTreeSet<String>,
}

/// Error: the file is not a baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error("not a baseline: {0}")]
    Json(#[from] serde_json::Error),
    #[error("unsupported baseline schema {0}; this imgarch reads schema {SCHEMA}")]
    Schema(u32),
}

#[derive(Serialize, Deserialize)]
struct BaselineText {
    schema: u32,
    findings: Vec<BaselineEntry>,
}

/// Findings are matched by fingerprint; the other fields are for human readers.
#[derive(Serialize, Deserialize)]
struct BaselineEntry {
    fingerprint: String,
    image: String,
    platform: Option<String>,
    code: String,
    path: Option<String>,
}

impl Baseline {
    pub fn parse(text: &str) -> Result<Baseline, BaselineError> {
        let file: BaselineText = serde_json::from_str(text)?;
        if file.schema != SCHEMA {
            return Err(BaselineError::Schema(file.schema));
        }
        Ok(Baseline { known: file.findings.into_iter().map(|entry| entry.fingerprint).collect() })
    }

    pub fn contains(&self, fingerprint: &str) -> bool {
        self.known.contains(fingerprint)
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }
    /// The file that accepts every error and warning in `report`, sorted so that changes can be reviewed.
    pub fn text_of(report: &Report) -> String {
        let mut findings: Vec<BaselineEntry> = Vec::new();
        for image in &report.images {
            for (platform, finding) in image.all_findings().filter(|(_, finding)| finding.severity > Severity::Note) {
                let platform = platform.map(PlatformReport::name);
                findings.push(BaselineEntry {
                    fingerprint: fingerprint::fingerprint(&image.name, platform.as_deref(), finding),
                    image: fingerprint::subject(&image.name),
                    platform,
                    code: finding.code.name().to_string(),
                    path: finding.path.clone(),
                });
            }
        }
        findings.sort_by(|a, b| {
            let key = |e: &BaselineEntry| (e.image.clone(), e.platform.clone(), e.code.clone(), e.path.clone());
            key(a).cmp(&key(b))
        });
        findings.dedup_by(|a, b| a.fingerprint == b.fingerprint);
        let text = serde_json::to_string_pretty(&BaselineText { schema: SCHEMA, findings });
        text.expect("strings and numbers are JSON") + "\n"
    }
}
