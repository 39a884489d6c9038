//! The text of `.imgarch.toml` as settings. Every key is known and every value checked, or the file is refused with what
//! was probably meant: a gate must not run with half of its configuration.

use std::collections::BTreeMap;
use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use super::date::Date;
use crate::judge::code::{CODES, Code, Severity};
use crate::scan::FailOn;

/// What a project's file says; what it does not say is `None` or empty.
#[derive(Debug, Default)]
pub struct Config {
    /// Texts of targets, as `--target` takes them.
    pub targets: Vec<String>,
    pub fail_on: Option<FailOn>,
    pub severities: BTreeMap<Code, Severity>,
    pub ignores: Vec<Ignore>,
    pub registries: RegistrySettings,
    pub limits: LimitSettings,
    pub cache: CacheSettings,
}

/// Findings that are accepted: all conditions that are given must hold.
#[derive(Clone, Debug)]
pub struct Ignore {
    pub code: Option<Code>,
    pub path: Option<GlobMatcher>,
    pub package: Option<GlobMatcher>,
    pub image: Option<GlobMatcher>,
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Option<Date>,
}

/// `[registries]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RegistrySettings {
    /// Allow plain HTTP and certificates that nobody vouches for.
    pub insecure: Option<bool>,
    /// PEM files; relative ones are found from the configuration file's folder.
    pub ca_cert: Vec<String>,
    /// By registry: what is asked before it.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// By host, with its port where it has one: what holds for that one only.
    pub hosts: BTreeMap<String, HostSettings>,
}

/// `[registries.hosts."registry.example.com:5000"]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HostSettings {
    pub insecure: bool,
    /// PEM files; relative ones are found from the configuration file's folder.
    pub ca_cert: Vec<String>,
}

/// `[limits]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Seconds to wait for a registry.
    pub timeout: Option<u64>,
    /// Seconds for a whole run.
    pub deadline: Option<u64>,
    /// Layers that are read at once.
    pub jobs: Option<u16>,
    /// Uncompressed bytes of one layer.
    pub layer_bytes: Option<u64>,
    /// Names that one layer brings in.
    pub layer_names: Option<u64>,
    /// Bytes of memory for the names and files of one image.
    pub image_memory: Option<u64>,
    /// Bytes of the cache of read layers.
    pub cache_bytes: Option<u64>,
}

/// `[cache]`: directories and URLs of stores that machines share what was found in layers through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Asked in this order.
    pub from: Vec<String>,
    /// Given what a run reads itself.
    pub to: Option<String>,
}

/// Why a configuration file is refused.
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
    registries: RegistrySettings,
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

/// What it accepts: `foreign-file, /opt/** until 2027-01-31: vendored`.
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

impl Config {
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        let file: FileText = toml::from_str(text).map_err(|error| {
            let text = error.to_string().trim_end().to_string();
            let hint = meant(error.message());
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
        Ok(Config {
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

/// `error`, `warning` or `never`; `key` is for the message.
pub fn fail_on(key: &str, text: &str) -> Result<FailOn, ConfigError> {
    match text {
        "error" => Ok(FailOn::Error),
        "warning" => Ok(FailOn::Warning),
        "never" => Ok(FailOn::Never),
        _ => Err(value(key, format!("{text:?} is not error, warning or never"))),
    }
}

fn value(key: &str, cause: impl Into<String>) -> ConfigError {
    ConfigError::Value { key: key.to_string(), cause: cause.into(), hint: None }
}

fn code(key: &str, name: &str) -> Result<Code, ConfigError> {
    Code::parse(name).ok_or_else(|| {
        let near = nearest(name, CODES.iter().map(|row| row.name)).map(|near| format!("did you mean {near:?}?"));
        let hint = near.or_else(|| Some("imgarch explain lists the codes".to_string()));
        ConfigError::Value { key: key.to_string(), cause: format!("there is no finding code {name:?}"), hint }
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
    let reason = reason.ok_or_else(|| value(&key("reason"), "say why the finding is accepted"))?;
    if text.code.is_none() && text.path.is_none() && text.package.is_none() && text.image.is_none() {
        return Err(value(&key("code"), "give at least one of code, path, package and image"));
    }
    let expires = text.expires.as_ref().map(|day| {
        Date::parse(day).ok_or_else(|| value(&key("expires"), format!("{day:?} is no day such as \"2027-01-31\"")))
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

/// From serde's "unknown field `x`, expected one of `a`, `b`" to what was probably meant.
fn meant(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown field").then(|| quoted.next())??;
    nearest(unknown, quoted).map(|near| format!("did you mean `{near}`?"))
}

/// The known word that differs in the fewest letters, if they are few.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = known.map(|known| (distance(word, known), known)).min()?;
    (nearest.0 <= 2 + word.len() / 6).then_some(nearest.1)
}

/// Levenshtein's distance.
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
        let error = Config::parse(text).unwrap_err();
        format!("{error} / {}", error.hint().unwrap_or("no hint")).replace('\n', " ")
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = Config::parse(
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
        assert!(Config::parse("").unwrap().ignores.is_empty());
    }

    #[test]
    fn an_unknown_key_is_refused_with_what_was_meant() {
        assert!(refused("tragets = []").ends_with("did you mean `targets`?"), "{}", refused("tragets = []"));
        assert!(refused("[limits]\njbos = 1").ends_with("did you mean `jobs`?"));
        assert!(refused("[severity]\nforeign-fille = \"error\"").ends_with("did you mean \"foreign-file\"?"));
        assert!(refused("zzzzzzzz = 1").ends_with("no hint"));
    }

    #[test]
    fn an_ignore_states_what_and_why() {
        assert!(refused("[[ignore]]\ncode = \"foreign-file\"").contains("ignore 1 reason: say why"));
        assert!(refused("[[ignore]]\nreason = \"x\"").contains("at least one of"));
        assert!(refused("[[ignore]]\npath = \"/a\"\nreason = \"x\"\nexpires = \"soon\"").contains("is no day"));
        assert!(refused("[[ignore]]\npath = \"/a[\"\nreason = \"x\"").contains("ignore 1 path"));
    }
}
