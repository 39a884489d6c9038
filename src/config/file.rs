//! Parses `.imgarch.toml`. An unknown key or an invalid value is an error with a suggestion, so that a check never runs
//! with half of its configuration.

use std::collections::BTreeMap;
use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use super::date::Date;
use crate::judge::code::{CODES, Code, Severity};
use crate::scan::FailOn;

/// The settings in the file. Settings that are not in the file are `None` or empty.
#[derive(Debug, Default)]
pub struct ConfigSettings {
    /// Targets in the syntax of `--target`.
    pub targets: Vec<String>,
    pub fail_on: Option<FailOn>,
    pub severities: BTreeMap<Code, Severity>,
    pub ignores: Vec<Ignore>,
    pub registries: RegistriesSection,
    pub limits: LimitSettings,
    pub cache: CacheSettings,
}

/// A rule that accepts findings. All conditions that are given must match.
#[derive(Clone, Debug)]
pub struct Ignore {
    pub code: Option<Code>,
    pub path: Option<GlobMatcher>,
    pub package: Option<GlobMatcher>,
    pub image: Option<GlobMatcher>,
    pub reason: String,
    /// The last day on which the rule applies.
    pub expires: Option<Date>,
}

/// `[registries]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RegistriesSection {
    /// Allow plain HTTP and unverified TLS certificates.
    pub insecure: Option<bool>,
    /// PEM files. Relative paths start at the configuration file's directory.
    pub ca_cert: Vec<String>,
    /// Mirrors to try before each registry.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Settings for one host, by its name and port.
    pub hosts: BTreeMap<String, HostSettings>,
}

/// `[registries.hosts."registry.example.com:5000"]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HostSettings {
    pub insecure: bool,
    /// PEM files. Relative paths start at the configuration file's directory.
    pub ca_cert: Vec<String>,
}

/// `[limits]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Seconds to wait for a registry.
    pub timeout: Option<u64>,
    /// Maximum duration of a run in seconds.
    pub deadline: Option<u64>,
    /// Number of layers to read at once.
    pub jobs: Option<u16>,
    /// Maximum uncompressed bytes of one layer.
    pub layer_bytes: Option<u64>,
    /// Maximum number of names in one layer.
    pub layer_names: Option<u64>,
    /// Maximum memory in bytes for the names and files of one image.
    pub image_memory: Option<u64>,
    /// Maximum size of the layer cache in bytes.
    pub cache_bytes: Option<u64>,
}

/// `[cache]`: directories and URLs of stores that share facts about layers between machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Searched in this order.
    pub from: Vec<String>,
    /// Receives what a run reads itself.
    pub to: Option<String>,
}

/// Error: the configuration file is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Toml(String, Option<String>),
    #[error("{key}: {cause}")]
    Value { key: String, cause: String, hint: Option<String> },
}

impl ConfigError {
    pub fn hint(&self) -> Option<&str> {
        match self {
            ConfigError::Toml(_, hint) | ConfigError::Value { hint, .. } => hint.as_deref(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct FileText {
    targets: Vec<String>,
    fail_on: Option<String>,
    severity: BTreeMap<String, String>,
    ignore: Vec<IgnoreText>,
    registries: RegistriesSection,
    limits: LimitSettings,
    cache: CacheSettings,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct IgnoreText {
    code: Option<String>,
    path: Option<String>,
    package: Option<String>,
    image: Option<String>,
    reason: Option<String>,
    expires: Option<String>,
}

/// Formats the rule for messages: `foreign-file, /opt/** until 2027-01-31: vendored`.
impl fmt::Display for Ignore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map(|code| code.to_string());
        let globs = [&self.path, &self.package, &self.image];
        let globs = globs.into_iter().flatten().map(|glob| glob.glob().to_string());
        f.write_str(&code.into_iter().chain(globs).collect::<Vec<_>>().join(", "))?;
        if let Some(day) = self.expires {
            write!(f, " until {day}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl ConfigSettings {
    pub fn parse(text: &str) -> Result<ConfigSettings, ConfigError> {
        let file: FileText = toml::from_str(text).map_err(|error| {
            let text = error.to_string().trim_end().to_string();
            let hint = suggestion(error.message());
            ConfigError::Toml(text, hint)
        })?;
        let fail_on = file.fail_on.as_deref().map(|text| fail_on("fail-on", text)).transpose()?;
        let mut severities = BTreeMap::new();
        for (name, severity) in &file.severity {
            let key = format!("severity.{name}");
            let severity: Severity = severity.parse().map_err(|cause| value(&key, cause))?;
            severities.insert(code(&key, name)?, severity);
        }
        let ignores = file.ignore.into_iter().enumerate().map(|(index, text)| ignore(index, text));
        Ok(ConfigSettings {
            targets: file.targets,
            fail_on,
            severities,
            ignores: ignores.collect::<Result<_, _>>()?,
            registries: file.registries,
            limits: file.limits,
            cache: file.cache,
        })
    }
}

/// Parses `error`, `warning` or `never`. `key` is the setting's name for the message.
pub fn fail_on(key: &str, text: &str) -> Result<FailOn, ConfigError> {
    match text {
        "error" => Ok(FailOn::Error),
        "warning" => Ok(FailOn::Warning),
        "never" => Ok(FailOn::Never),
        _ => Err(value(key, format!("unknown value {text:?}; expected error, warning or never"))),
    }
}

fn value(key: &str, cause: impl Into<String>) -> ConfigError {
    ConfigError::Value { key: key.to_string(), cause: cause.into(), hint: None }
}

fn code(key: &str, name: &str) -> Result<Code, ConfigError> {
    Code::parse(name).ok_or_else(|| {
        let near = nearest(name, CODES.iter().map(|row| row.name)).map(|near| format!("did you mean {near:?}?"));
        let hint = near.or_else(|| Some("run `imgarch explain` to list the codes".to_string()));
        ConfigError::Value { key: key.to_string(), cause: format!("unknown finding code {name:?}"), hint }
    })
}

fn ignore(index: usize, text: IgnoreText) -> Result<Ignore, ConfigError> {
    let key = |name: &str| format!("ignore {} {name}", index + 1);
    let glob = |name: &str, pattern: &Option<String>| {
        let build = |pattern: &String| {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| value(&key(name), error.to_string()))
        };
        pattern.as_ref().map(build).transpose()
    };
    let reason = text.reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.ok_or_else(|| value(&key("reason"), "missing; state why the finding is accepted"))?;
    if text.code.is_none() && text.path.is_none() && text.package.is_none() && text.image.is_none() {
        return Err(value(&key("code"), "missing; set at least one of code, path, package and image"));
    }
    let expires = text.expires.as_ref().map(|day| {
        Date::parse(day).ok_or_else(|| {
            value(&key("expires"), format!("{day:?} is not a date; expected YYYY-MM-DD, for example \"2027-01-31\""))
        })
    });
    Ok(Ignore {
        code: text.code.as_ref().map(|name| code(&key("code"), name)).transpose()?,
        path: glob("path", &text.path)?,
        package: glob("package", &text.package)?,
        image: glob("image", &text.image)?,
        reason,
        expires: expires.transpose()?,
    })
}

/// Suggests a key, from serde's message "unknown field `x`, expected one of `a`, `b`".
fn suggestion(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown field").then(|| quoted.next())??;
    nearest(unknown, quoted).map(|near| format!("did you mean `{near}`?"))
}

/// The known word with the smallest edit distance, if that is small enough.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = known.map(|known| (distance(word, known), known)).min()?;
    (nearest.0 <= 2 + word.len() / 6).then_some(nearest.1)
}

/// The Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, of_a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, of_b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(of_a != *of_b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = ConfigSettings::parse(text).unwrap_err();
        format!("{error} / {}", error.hint().unwrap_or("no hint")).replace('\n', " ")
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = ConfigSettings::parse(
            "targets = [\"graviton4\"]\nfail-on = \"warning\"\n[severity]\nforeign-file = \"error\"\n\
             [[ignore]]\ncode = \"foreign-file\"\npath = \"/opt/**\"\nreason = \"vendored\"\nexpires = \"2027-01-31\"\n\
             [registries]\nca-cert = [\"ca.pem\"]\n[registries.mirrors]\n\"docker.io\" = [\"mirror.example\"]\n\
             [limits]\njobs = 4\n",
        )
        .unwrap();
        assert_eq!((config.targets[0].as_str(), config.fail_on), ("graviton4", Some(FailOn::Warning)));
        assert_eq!(config.severities[&Code::ForeignFile], Severity::Error);
        assert_eq!(config.ignores[0].expires, Date::parse("2027-01-31"));
        assert_eq!(config.registries.mirrors["docker.io"], ["mirror.example"]);
        assert_eq!(config.limits.jobs, Some(4));
        assert!(ConfigSettings::parse("").unwrap().ignores.is_empty());
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        assert!(refused("tragets = []").ends_with("did you mean `targets`?"), "{}", refused("tragets = []"));
        assert!(refused("[limits]\njbos = 1").ends_with("did you mean `jobs`?"));
        assert!(refused("[severity]\nforeign-fille = \"error\"").ends_with("did you mean \"foreign-file\"?"));
        assert!(refused("zzzzzzzz = 1").ends_with("no hint"));
    }

    #[test]
    fn an_ignore_needs_a_condition_and_a_reason() {
        assert!(refused("[[ignore]]\ncode = \"foreign-file\"").contains("ignore 1 reason: missing"));
        assert!(refused("[[ignore]]\nreason = \"x\"").contains("at least one of"));
        assert!(refused("[[ignore]]\npath = \"/a\"\nreason = \"x\"\nexpires = \"soon\"").contains("is not a date"));
        assert!(refused("[[ignore]]\npath = \"/a[\"\nreason = \"x\"").contains("ignore 1 path"));
    }
}
