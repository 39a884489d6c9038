//! A finding is data: what, where, why and how to fix it. Its wording is written here and in the table of codes only.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::exec::messages::Shown;
use crate::judge::code::{Code, Severity};

/// One problem of one platform of an image, or of its index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    pub code: Code,
    pub severity: Severity,
    /// Absolute path in the merged file system. `None`: the finding is about the whole image.
    pub path: Option<String>,
    /// Name of the target that the finding is about. `None`: it is about every target.
    pub target: Option<String>,
    /// One sentence about this case: lower case, no period.
    pub message: String,
    /// The file's description: "ELF x86-64, static".
    pub is: String,
    /// The expected architecture: "AArch64". Empty if nothing was expected.
    pub expected: String,
    /// Index of the layer that contains the file, lowest 0.
    pub layer: Option<usize>,
    /// The steps from the entrypoint: `ENTRYPOINT ["app"]`, `/usr/local/bin/app`.
    pub reached_by: Vec<String>,
    /// Findings of one group are shown as one row: a package's directory, a jar.
    pub group: Option<String>,
    /// Name and reason of the rule that excuses a foreign file.
    pub purpose: Option<(Cow<'static, str>, String)>,
    /// Messages that nodes will show, most common runtime first: text and exit code.
    pub shown: Vec<Shown>,
    /// How to fix it, one step per line; commands can be pasted.
    pub hint: Vec<String>,
}

impl Finding {
    /// A finding of this code at its usual severity, with all other fields empty.
    pub fn new(code: Code, message: impl Into<String>) -> Finding {
        Finding {
            code,
            severity: code.row().severity,
            path: None,
            target: None,
            message: message.into(),
            is: String::new(),
            expected: String::new(),
            layer: None,
            reached_by: Vec::new(),
            group: None,
            purpose: None,
            shown: Vec::new(),
            hint: vec![code.row().cure.to_string()],
        }
    }

    /// Describes what the file is, and what was expected. Empty if that is not known.
    pub fn is_text(&self) -> String {
        match (self.is.as_str(), self.expected.as_str()) {
            (is, "") => is.to_string(),
            ("", _) => String::new(),
            (is, expected) => format!("{is}; expected {expected}"),
        }
    }

    /// Sets the file and its layer.
    pub fn at(mut self, path: &str, layer: usize) -> Finding {
        self.path = Some(path.to_string());
        self.layer = Some(layer);
        self
    }

    /// Sets the description of the file and what was expected instead.
    pub fn is(mut self, is: impl Into<String>, expected: impl Into<String>) -> Finding {
        self.is = is.into();
        self.expected = expected.into();
        self
    }

    pub fn severity(mut self, severity: Severity) -> Finding {
        self.severity = severity;
        self
    }
}

/// Sorts by severity (worst first), code, group and path: the order of every report.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.code, f.group.clone(), f.path.clone());
        key(a).cmp(&key(b))
    });
}
