//! A message that was recognised in a log, an event or terminal output.

use super::message::{Sign, Speaker};
use super::pattern::Hole;

/// A recognised message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symptom {
    pub sign: Sign,
    pub speaker: Speaker,
    /// The file or command that the message names.
    pub path: Option<String>,
    /// Other values that it names, such as the platforms of the image and the node.
    pub named: Vec<(Hole, String)>,
    /// The line, trimmed.
    pub line: String,
    /// Whether the program that printed it went on afterwards, without what it lacks.
    pub goes_on: bool,
}

impl Symptom {
    /// "executable file not found" without a word of a container: a program in Go may report it of its own children.
    pub fn is_programs_own(&self) -> bool {
        const RUNTIMES: &[&str] =
            &["container", "OCI", "runc", "failed to start", ": unknown", "Error response from daemon"];
        let is_search = self.line.contains("executable file not found");
        self.speaker == Speaker::Runc && is_search && !RUNTIMES.iter().any(|text| self.line.contains(text))
    }
}
