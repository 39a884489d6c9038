//! Retries requests as long as that may help.

use std::time::Duration;

use super::fault::RequestFault;
use super::http::{Http, HttpAnswer};
use super::retry::RetryPolicy;
use crate::source::SourceError;

/// The HTTP connections, with the retry policy.
#[derive(Debug)]
pub(super) struct Patience {
    pub(super) http: Http,
    pub(super) policy: RetryPolicy,
}

impl Patience {
    /// Sends a request until it gets a final answer, with any status.
    pub(super) fn insist(
        &self,
        once: impl Fn(&Http) -> Result<HttpAnswer, RequestFault>,
    ) -> Result<HttpAnswer, SourceError> {
        let (mut attempt, mut waited) = (0, Duration::ZERO);
        let fits = |waited: Duration, wait: Duration| waited + wait <= self.policy.longest_wait;
        loop {
            let wait = match once(&self.http) {
                Ok(answer) => match self.policy.wait_after(answer.status(), answer.response.headers(), attempt) {
                    Some(wait) if fits(waited, wait) => wait,
                    _ => return Ok(answer),
                },
                Err(fault) if fault.is_passing() && attempt < self.policy.retries => self.policy.wait(attempt),
                Err(fault) => {
                    self.http.give_up(&fault);
                    return Err(fault.into());
                }
            };
            attempt += 1;
            waited += wait;
            self.pause(attempt, wait);
        }
    }

    pub(super) fn pause(&self, attempt: u32, wait: Duration) {
        tracing::debug!(attempt, wait_ms = wait.as_millis() as u64, "trying again");
        std::thread::sleep(wait);
    }
}
