//! Calendar dates, for the expiry of accepted findings.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A date, displayed as `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(jiff::civil::Date);

impl Date {
    /// Parses `2027-01-31`. `None` for any other form and for dates that do not exist.
    pub fn parse(text: &str) -> Option<Date> {
        let is_shape = text.len() == 10
            && text.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
        text.parse().ok().filter(|_| is_shape).map(Date)
    }

    /// The UTC date of a Unix time in seconds. Times after the last supported date yield that date.
    pub fn of_unix_seconds(seconds: u64) -> Date {
        let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        Date(time.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC).date())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_existing_dates_are_parsed() {
        for text in ["2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "26-01-01", "2026-01-32", "", "2026-01"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert_eq!(Date::parse("2028-02-29").unwrap().to_string(), "2028-02-29");
    }

    #[test]
    fn seconds_are_converted_to_dates() {
        for (seconds, day) in [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_795_219_199, "2026-11-20")] {
            assert_eq!(Date::of_unix_seconds(seconds).to_string(), day);
        }
        assert!(Date::parse("2026-11-20") < Date::parse("2026-12-01"));
    }
}
