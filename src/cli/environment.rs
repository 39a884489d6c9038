//! The environment and the clock of this process, read once at its start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Date;

/// The environment that the process was started with. Only the CLI reads it; lower modules receive resolved settings.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    /// The working directory, if it can be determined.
    pub directory: Option<PathBuf>,
    /// The directory for temporary files.
    pub temporary: PathBuf,
    pub now: SystemTime,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment and the clock")]
    pub fn of_this_process() -> Environment {
        let variables = std::env::vars_os();
        Environment {
            variables: variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect(),
            directory: std::env::current_dir().ok(),
            temporary: std::env::temp_dir(),
            now: SystemTime::now(),
        }
    }

    /// Returns a variable that is set, not empty and UTF-8.
    pub fn text(&self, name: &str) -> Option<String> {
        self.raw(name)?.to_str().map(str::to_string)
    }

    /// Returns a variable that is set and not empty, as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.raw(name).map(PathBuf::from)
    }

    /// Returns the paths of a list such as PATH or KUBECONFIG; `None` if it is not set.
    pub fn paths(&self, name: &str) -> Option<Vec<PathBuf>> {
        let listed = std::env::split_paths(self.raw(name)?);
        Some(listed.filter(|path| !path.as_os_str().is_empty()).collect())
    }

    /// Returns the variables whose names start with one of these prefixes.
    pub fn with_prefix(&self, prefixes: &[&str]) -> Vec<(String, String)> {
        let wanted = self.variables.iter().filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)));
        wanted.filter_map(|(name, value)| Some((name.clone(), value.to_str()?.to_string()))).collect()
    }

    /// Seconds since 1970; 0 if the clock is set to an earlier time.
    pub fn unix_seconds(&self) -> u64 {
        self.now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// The start time in UTC, in RFC 3339 format.
    pub fn rfc3339(&self) -> String {
        let seconds = i64::try_from(self.unix_seconds()).unwrap_or_default();
        jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
    }

    /// The start date in UTC.
    pub fn today(&self) -> Date {
        Date::of_unix_seconds(self.unix_seconds())
    }

    fn raw(&self, name: &str) -> Option<&OsString> {
        self.variables.get(name).filter(|value| !value.is_empty())
    }

    #[cfg(test)]
    pub fn of_variables(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), OsString::from(value)));
        Environment { variables: variables.collect(), directory: None, temporary: "/tmp".into(), now: UNIX_EPOCH }
    }
}
