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
    pub outcome: MessageOutcome,
}

/// What the rest of the log reports after a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageOutcome {
    /// Nothing, or more failures.
    #[default]
    Open,
    /// The program went on, without what it lacks.
    WentOn,
    /// The job or build of which it was a part succeeded.
    Succeeded,
    /// An alert was closed.
    Closed,
    /// The text is not a log: a commit, a diff.
    Described,
}

impl MessageOutcome {
    pub fn is_over(self) -> bool {
        match self {
            MessageOutcome::Open => false,
            MessageOutcome::WentOn | MessageOutcome::Succeeded | MessageOutcome::Closed | MessageOutcome::Described => {
                true
            }
        }
    }

    /// Why the message is not the failure, in lower case.
    pub fn text(self) -> &'static str {
        match self {
            MessageOutcome::Open => "nothing followed the message",
            MessageOutcome::WentOn => "the program went on after the message",
            MessageOutcome::Succeeded => "the log ends with a success after the message",
            MessageOutcome::Closed => "the text reports that the failure is over",
            MessageOutcome::Described => "the text is a commit or a diff, not a log",
        }
    }
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
