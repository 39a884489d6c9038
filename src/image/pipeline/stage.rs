//! The state of one step of the pipeline: whether a thread runs it, and its output for the next step, in order.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::buffer::Buffer;

/// The output of one run of a step; an empty buffer marks the end.
pub(super) type StepResult = io::Result<Arc<Buffer>>;

#[derive(Default)]
pub(super) struct PipelineStage {
    /// Output that the next step has not taken yet.
    pub ready: VecDeque<Arc<Buffer>>,
    is_busy: bool,
    /// `Some` once the step has ended; its error is returned once.
    outcome: Option<io::Result<()>>,
}

impl PipelineStage {
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    pub fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    /// Whether the step can be started.
    pub fn is_free(&self) -> bool {
        !self.is_busy && self.outcome.is_none()
    }

    pub fn start(&mut self) {
        self.is_busy = true;
    }

    /// Ends a run, stores its output, and returns that output, if any.
    pub fn end(&mut self, made: StepResult) -> Option<&Arc<Buffer>> {
        self.is_busy = false;
        match made {
            Ok(buffer) if buffer.is_empty() => self.outcome = Some(Ok(())),
            Ok(buffer) => {
                self.ready.push_back(buffer);
                return self.ready.back();
            }
            Err(error) => self.outcome = Some(Err(error)),
        }
        None
    }

    /// The next output, or the step's result if it has ended; `None` if neither is available yet.
    pub fn next(&mut self) -> Option<StepResult> {
        match self.ready.pop_front() {
            Some(buffer) => Some(Ok(buffer)),
            None => self.outcome.as_mut().map(|outcome| std::mem::replace(outcome, Ok(())).map(|()| Arc::default())),
        }
    }

    /// The step's result, unless it was returned before.
    pub fn outcome(&mut self) -> io::Result<()> {
        self.outcome.take().unwrap_or(Ok(()))
    }
}
