//! A finding is data: what, where, why, what to do. Wording is made here and in the table of codes, nowhere else.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::exec::messages::Shown;
use crate::judge::code::{Code, Severity};

/// One thing that is the matter with one platform of an image (or with its index).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    pub code: Code,
    pub severity: Severity,
    /// Absolute path in the merged file system; none for what concerns the whole image.
    pub path: Option<String>,
    /// The sentence of this very case, lower case, without a period.
    pub message: String,
    /// What the file is: "ELF x86-64, static".
    pub is: String,
    /// What was expected: "AArch64". Empty where nothing was.
    pub expected: String,
    /// Index of the layer that brought the file in, lowest 0.
    pub layer: Option<usize>,
    /// The way from the entrypoint: `ENTRYPOINT ["app"]`, `/usr/local/bin/app`.
    pub reached_by: Vec<String>,
    /// What belongs together is shown as one row: a package's directory, a jar.
    pub group: Option<String>,
    /// Name and reason of the rule by which the file is foreign on purpose.
    pub purpose: Option<(Cow<'static, str>, String)>,
    /// What nodes will show, most common runtime first: text and exit code.
    pub shown: Vec<Shown>,
    /// What to do, one step a line; commands can be pasted.
    pub hint: Vec<String>,
}

impl Finding {
    /// A finding of this code at its usual severity, with nothing else known.
    pub fn new(code: Code, message: impl Into<String>) -> Finding {
        Finding {
            code,
            severity: code.row().severity,
            path: None,
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

    /// At this file of this layer.
    pub fn at(mut self, path: &str, layer: usize) -> Finding {
        self.path = Some(path.to_string());
        self.layer = Some(layer);
        self
    }

    /// Is this, where that was expected.
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

/// Most severe first, then by code's order, group and path: the order of every report.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.code, f.group.clone(), f.path.clone());
        key(a).cmp(&key(b))
    });
}
