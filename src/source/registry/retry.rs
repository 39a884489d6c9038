//! Decides whether and when to retry a request. Pure: [`super::patience`] does the waiting.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// How often and how long to retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Further attempts after the first.
    pub retries: u32,
    /// The wait before the second attempt; each further wait is twice the previous one.
    pub first_wait: Duration,
    /// Limit for a single wait, including one that the server requests, and for all waits of one request together. If
    /// the server requests a longer wait, the request is not retried.
    pub longest_wait: Duration,
}

/// A registry that limits its clients usually requests a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { retries: 3, first_wait: Duration::from_millis(250), longest_wait: LONGEST_WAIT }
    }
}

impl RetryPolicy {
    /// The default for a user who waits `timeout` for one answer: the waits between attempts may take twice that in
    /// total.
    pub fn within(timeout: Duration) -> RetryPolicy {
        RetryPolicy { longest_wait: LONGEST_WAIT.min(timeout * 2), ..RetryPolicy::default() }
    }

    /// The wait after the failed attempt number `attempt`, counted from 0.
    pub(super) fn wait(&self, attempt: u32) -> Duration {
        let factor = 2u32.saturating_pow(attempt);
        self.first_wait.checked_mul(factor).unwrap_or(self.longest_wait).min(self.longest_wait)
    }

    /// The wait before the same request may get another answer; `None` if this answer is final.
    pub(super) fn wait_after(&self, status: StatusCode, headers: &HeaderMap, attempt: u32) -> Option<Duration> {
        let is_passing = matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504);
        if !is_passing || attempt >= self.retries {
            return None;
        }
        match asked_wait(headers) {
            Some(asked) if asked > self.longest_wait => None,
            Some(asked) => Some(asked),
            None => Some(self.wait(attempt)),
        }
    }
}

/// Parses `Retry-After`: seconds, or a date, which is compared with the server's own `Date` because the two clocks may
/// disagree. Source: RFC 9110, 10.2.3.
pub(super) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let now = http_date(headers.get(DATE)?.to_str().ok()?)?;
    let wait = http_date(asked)?.saturating_sub(now);
    Some(Duration::from_secs(u64::try_from(wait).unwrap_or(0)))
}

/// Parses `Sun, 06 Nov 1994 08:49:37 GMT` to seconds since 1970. The two obsolete formats are not supported. Source:
/// RFC 9110, 5.6.7.
fn http_date(text: &str) -> Option<i64> {
    DateTimeParser::new().parse_timestamp(text).ok().map(|time| time.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(retry_after: &str, date: &str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        headers.insert(DATE, date.parse().unwrap());
        assert_eq!(asked_wait(&headers), expected.map(Duration::from_secs), "{retry_after}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        let date = "Sat, 21 Nov 2026 08:00:00 GMT";
        check("7", date, Some(7));
        check("Sat, 21 Nov 2026 08:01:30 GMT", date, Some(90));
        check("Sat, 21 Nov 2026 07:00:00 GMT", date, Some(0));
        check("Sun, 01 Mar 2026 00:00:00 GMT", "Sat, 28 Feb 2026 23:59:59 GMT", Some(1));
        check("Fri, 01 Mar 2024 00:00:00 GMT", "Wed, 28 Feb 2024 00:00:00 GMT", Some(2 * 86_400));
        check("soon", date, None);
        check("-1", date, None);
        check("Saturday, 21-Nov-26 08:01:30 GMT", date, None);
    }

    #[test]
    fn a_date_counts_from_1970() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Thu, 41 Jan 1970 00:00:00 GMT"), None);
    }

    #[test]
    fn each_wait_doubles_up_to_the_longest() {
        let policy =
            RetryPolicy { retries: 9, first_wait: Duration::from_millis(100), longest_wait: Duration::from_secs(1) };
        let waits: Vec<u128> = (0..6).map(|attempt| policy.wait(attempt).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(policy.wait(u32::MAX), Duration::from_secs(1));
    }

    #[test]
    fn only_transient_errors_are_retried() {
        let policy = RetryPolicy::default();
        let asked = |status: u16, attempt| {
            policy.wait_after(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), attempt).is_some()
        };
        assert!(asked(429, 0) && asked(500, 2) && asked(503, 0));
        assert!(!asked(500, 3) && !asked(404, 0) && !asked(401, 0) && !asked(501, 0) && !asked(200, 0));
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "3600".parse().unwrap());
        assert_eq!(policy.wait_after(StatusCode::TOO_MANY_REQUESTS, &headers, 0), None);
    }
}
