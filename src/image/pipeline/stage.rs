//! One step that a layer's bytes take: one thread at a time does it, and what it made waits in order for the next step.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::buffer::Buffer;

/// What a step makes at a time; no bytes mean that it is over.
pub(super) type Made = io::Result<Arc<Buffer>>;

#[derive(Default)]
pub(super) struct Stage {
    /// Made and not yet taken.
    pub ready: VecDeque<Arc<Buffer>>,
    is_busy: bool,
    /// There once the step is over; its error is told once.
    outcome: Option<io::Result<()>>,
}

impl Stage {
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    pub fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    /// Whether the step can be done now. It is to be started then.
    pub fn is_free(&self) -> bool {
        !self.is_busy && self.outcome.is_none()
    }

    pub fn start(&mut self) {
        self.is_busy = true;
    }

    /// Takes in what the step made; gives it back where there is any.
    pub fn end(&mut self, made: Made) -> Option<&Arc<Buffer>> {
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

    /// The next of what was made, or how the step ended; `None` where it is not there yet.
    pub fn next(&mut self) -> Option<Made> {
        match self.ready.pop_front() {
            Some(buffer) => Some(Ok(buffer)),
            None => self.outcome.as_mut().map(|outcome| std::mem::replace(outcome, Ok(())).map(|()| Arc::default())),
        }
    }

    /// How the step ended, where that was not told.
    pub fn outcome(&mut self) -> io::Result<()> {
        self.outcome.take().unwrap_or(Ok(()))
    }
}
