//! Resolves flags, the environment and `.imgarch.toml` into settings, with the origin of each: a flag wins over the
//! environment, the environment over the file, the file over the default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::opening::{RegistrySettings, SourceArgs, SourceSettings};
use super::{CliError, Environment};
use crate::config::{ConfigError, ConfigSettings, Date, FILE_NAME, HostSettings, Ignore, Policy};
use crate::files;
use crate::image::{Limits, MemoryBudget};
use crate::judge::code::{Code, Severity};
use crate::platform::Platform;
use crate::scan::{FailOn, Options};
use crate::source::registry::HostOptions;

/// Which configuration file is read.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Read this file instead of .imgarch.toml in this directory or its nearest parent [env: IMGARCH_CONFIG].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Do not read a configuration file.
    #[arg(long, conflicts_with = "config")]
    pub no_config: bool,
}

/// Flags for the layer cache.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Cache")]
pub struct CacheFlags {
    /// Do not use the cache: read every layer, and store nothing [env: IMGARCH_NO_CACHE].
    #[arg(long, conflicts_with_all = ["cache_from", "cache_to"])]
    pub no_cache: bool,
    /// Read cached layers of other machines from a directory, s3://BUCKET/PREFIX, gs://, az:// or https://; repeatable.
    /// Anyone who can write there controls what this run reads [env: IMGARCH_CACHE_FROM].
    #[arg(long, value_name = "PLACE")]
    pub cache_from: Vec<String>,
    /// Store the layers that this run reads there, for other machines [env: IMGARCH_CACHE_TO].
    #[arg(long, value_name = "PLACE")]
    pub cache_to: Option<String>,
}

/// Command-line values of settings that a file or the environment can also set.
#[derive(Debug, Default)]
pub struct Typed {
    pub targets: Vec<String>,
    pub fail_on: Option<FailOn>,
    pub jobs: Option<u16>,
    pub baseline: Option<PathBuf>,
    pub cache: CacheFlags,
}

/// The origin of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    Flag,
    Environment(&'static str),
    File,
    Default,
}

/// A value and its origin.
#[derive(Clone, Debug)]
pub struct Sourced<T> {
    pub value: T,
    pub origin: SettingOrigin,
}

/// The settings of a run. They do not change after loading.
#[derive(Debug)]
pub struct Settings {
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    pub targets: Sourced<Vec<String>>,
    pub fail_on: Sourced<FailOn>,
    pub timeout: Sourced<u64>,
    /// Seconds for the whole run.
    pub deadline: Sourced<u64>,
    /// Layers to read in parallel; `None`: the number of processors, within bounds.
    pub jobs: Sourced<Option<u16>>,
    pub offline: Sourced<bool>,
    pub insecure: Sourced<bool>,
    pub ca_cert: Sourced<Vec<PathBuf>>,
    pub mirrors: Sourced<BTreeMap<String, Vec<String>>>,
    /// Settings for single hosts. Only a file can set these.
    pub hosts: BTreeMap<String, HostOptions>,
    pub baseline: Sourced<Option<PathBuf>>,
    /// The cache directory; `None`: layers are not cached.
    pub cache: Sourced<Option<PathBuf>>,
    pub cache_bytes: Sourced<u64>,
    /// Shared stores to read layers from, as directories or URLs.
    pub cache_from: Sourced<Vec<String>>,
    /// The shared store to write layers to, as a directory or URL.
    pub cache_to: Sourced<Option<String>>,
    pub layer_bytes: Sourced<u64>,
    pub layer_names: Sourced<u64>,
    pub image_memory: Sourced<u64>,
    pub severities: BTreeMap<Code, Severity>,
    pub ignores: Vec<Ignore>,
    /// The sources that images are read from.
    pub sources: SourceSettings,
    /// The current date, which decides whether ignores have expired.
    pub today: Date,
    /// Environment variables with the credentials of shared caches.
    pub cache_variables: Vec<(String, String)>,
}

/// Prefixes of the variables that hold the credentials of the stores' command-line tools.
const CACHE_VARIABLES: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// The maximum size of a configuration file, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// The default size of the cache, in bytes: enough for the layers of about a thousand images.
const CACHE_BYTES: u64 = 512 << 20;

/// The default time to wait for a registry, in seconds.
const TIMEOUT: u64 = 30;

/// The default deadline of a run, in seconds: the usual job timeout of CI services.
const DEADLINE: u64 = 6 * 60 * 60;

impl Settings {
    pub fn load(
        args: &ConfigArgs,
        typed: Typed,
        sources: &SourceArgs,
        environment: &Environment,
    ) -> Result<Settings, CliError> {
        let (file, config) = match find(args, environment) {
            Some(path) => (Some(path.clone()), read(&path)?),
            None => (None, ConfigSettings::default()),
        };
        let directory = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_path_buf();
        let given = |list: Vec<String>| (!list.is_empty()).then_some(list);
        let of_file = given(config.registries.ca_cert.clone());
        let paths = |list: Vec<String>| list.into_iter().map(PathBuf::from).collect::<Vec<_>>();
        let mirrors = Some(config.registries.mirrors.clone()).filter(|mirrors| !mirrors.is_empty());
        let (limits, defaults) = (&config.limits, Limits::default());
        let words = |text: String| Ok::<_, CliError>(text.split_whitespace().map(str::to_string).collect::<Vec<_>>());
        let no_flag = typed.cache.no_cache;
        let cache = if no_flag { Some(None) } else { None };
        let shared = |place: String| if place.contains("://") { place } else { relative_to(&directory, &place) };
        let no_cache = variable(environment, "IMGARCH_NO_CACHE", is_true)?;
        let no_cache = no_cache.map(|(off, name)| (off, SettingOrigin::Environment(name)));
        let offline = layered(environment, sources.offline.then_some(true), "IMGARCH_OFFLINE", is_true, None, false)?;
        let timeout = layered(environment, sources.timeout, "IMGARCH_TIMEOUT", number, limits.timeout, TIMEOUT)?;
        let insecure = layered(
            environment,
            sources.insecure.then_some(true),
            "IMGARCH_INSECURE",
            is_true,
            config.registries.insecure,
            false,
        )?;
        let ca_cert = layered(
            environment,
            Some(sources.ca_cert.clone()).filter(|list| !list.is_empty()),
            "IMGARCH_CA_CERT",
            |text| words(text).map(paths),
            of_file.map(|list| list.iter().map(|name| directory.join(name)).collect()),
            Vec::new(),
        )?;
        let mirrors = Sourced {
            origin: if mirrors.is_some() { SettingOrigin::File } else { SettingOrigin::Default },
            value: mirrors.unwrap_or_default(),
        };
        let hosts: BTreeMap<String, HostOptions> =
            config.registries.hosts.iter().map(|(host, own)| (host.clone(), host_options(own, &directory))).collect();
        let registries = RegistrySettings {
            is_offline: offline.value,
            is_insecure: insecure.value,
            ca_certs: ca_cert.value.clone(),
            timeout: Duration::from_secs(timeout.value),
            mirrors: mirrors.value.clone(),
            hosts: hosts.clone(),
        };
        Ok(Settings {
            targets: layered(
                environment,
                given(typed.targets),
                "IMGARCH_TARGET",
                words,
                given(config.targets),
                Vec::new(),
            )?,
            fail_on: layered(environment, typed.fail_on, "IMGARCH_FAIL_ON", fail_on, config.fail_on, FailOn::Error)?,
            deadline: layered(environment, sources.deadline, "IMGARCH_DEADLINE", number, limits.deadline, DEADLINE)?,
            jobs: layered(
                environment,
                typed.jobs.map(Some),
                "IMGARCH_JOBS",
                |text| number(text).map(Some),
                limits.jobs.map(Some),
                None,
            )?,
            offline,
            insecure,
            timeout,
            ca_cert,
            mirrors,
            hosts,
            baseline: layered(
                environment,
                typed.baseline.map(Some),
                "IMGARCH_BASELINE",
                |text| Ok(Some(text.into())),
                None,
                None,
            )?,
            cache: match (cache, no_cache) {
                (Some(none), _) => Sourced { value: none, origin: SettingOrigin::Flag },
                (None, Some((true, origin))) => Sourced { value: None, origin },
                _ => layered(
                    environment,
                    None,
                    "IMGARCH_CACHE_DIR",
                    |text| Ok(Some(text.into())),
                    None,
                    cache_directory(),
                )?,
            },
            cache_from: layered(
                environment,
                given(typed.cache.cache_from).or(no_flag.then(Vec::new)),
                "IMGARCH_CACHE_FROM",
                words,
                given(config.cache.from.into_iter().map(shared).collect()),
                Vec::new(),
            )?,
            cache_to: layered(
                environment,
                typed.cache.cache_to.map(Some).or(no_flag.then_some(None)),
                "IMGARCH_CACHE_TO",
                |text| Ok(Some(text)),
                config.cache.to.map(shared).map(Some),
                None,
            )?,
            cache_bytes: layered(environment, None, "IMGARCH_CACHE_BYTES", number, limits.cache_bytes, CACHE_BYTES)?,
            layer_bytes: layered(
                environment,
                None,
                "IMGARCH_LAYER_BYTES",
                number,
                limits.layer_bytes,
                defaults.max_bytes,
            )?,
            layer_names: layered(
                environment,
                None,
                "IMGARCH_LAYER_NAMES",
                number,
                limits.layer_names,
                defaults.max_names,
            )?,
            image_memory: layered(
                environment,
                None,
                "IMGARCH_IMAGE_MEMORY",
                number,
                limits.image_memory,
                defaults.memory.limit() as u64,
            )?,
            severities: config.severities,
            ignores: config.ignores,
            sources: SourceSettings::new(registries, sources, environment),
            today: environment.today(),
            cache_variables: environment.with_prefix(&CACHE_VARIABLES),
            file,
        })
    }

    /// Returns the targets for these platforms. Targets from flags always apply; other targets only if their platform
    /// matches.
    pub fn targets_for(&self, platforms: &[Platform]) -> Vec<String> {
        match self.targets.origin {
            SettingOrigin::Flag => self.targets.value.clone(),
            SettingOrigin::Environment(_) | SettingOrigin::File | SettingOrigin::Default => {
                super::targets::within(&self.targets.value, platforms)
            }
        }
    }

    fn jobs(&self) -> usize {
        self.jobs.value.map_or_else(default_jobs, usize::from)
    }

    /// Returns scan options with the limits and parallelism of these settings.
    pub fn options(&self) -> Options {
        Options { limits: self.limits(), jobs: self.jobs(), ..Options::default() }
    }

    /// Returns the project's ignores and severities, without a baseline.
    pub fn policy(&self) -> Policy {
        Policy { severities: self.severities.clone(), ignores: self.ignores.clone(), baseline: None }
    }

    fn limits(&self) -> Limits {
        let memory = MemoryBudget::new(usize::try_from(self.image_memory.value).unwrap_or(usize::MAX));
        Limits { max_bytes: self.layer_bytes.value, max_names: self.layer_names.value, memory, ..Limits::default() }
    }
}

fn host_options(settings: &HostSettings, directory: &Path) -> HostOptions {
    let ca_certs = settings.ca_cert.iter().map(|name| directory.join(name)).collect();
    HostOptions { is_insecure: settings.insecure, ca_certs }
}

/// Resolves a path in the configuration file relative to that file's directory.
fn relative_to(directory: &Path, path: &str) -> String {
    directory.join(path).to_string_lossy().into_owned()
}

fn layered<T>(
    environment: &Environment,
    flag: Option<T>,
    name: &'static str,
    parse: impl Fn(String) -> Result<T, CliError>,
    file: Option<T>,
    default: T,
) -> Result<Sourced<T>, CliError> {
    if let Some(value) = flag {
        return Ok(Sourced { value, origin: SettingOrigin::Flag });
    }
    if let Some((value, name)) = variable(environment, name, parse)? {
        return Ok(Sourced { value, origin: SettingOrigin::Environment(name) });
    }
    Ok(match file {
        Some(value) => Sourced { value, origin: SettingOrigin::File },
        None => Sourced { value: default, origin: SettingOrigin::Default },
    })
}

fn variable<T>(
    environment: &Environment,
    name: &'static str,
    parse: impl Fn(String) -> Result<T, CliError>,
) -> Result<Option<(T, &'static str)>, CliError> {
    let Some(text) = environment.text(name) else { return Ok(None) };
    match parse(text) {
        Ok(value) => Ok(Some((value, name))),
        Err(error) => Err(CliError::usage(format!("{name}: {error}"))),
    }
}

fn is_true(text: String) -> Result<bool, CliError> {
    match text.as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(CliError::usage(format!("unknown value {text:?}; expected true or false"))),
    }
}

fn number<T: std::str::FromStr + PartialOrd + From<u8>>(text: String) -> Result<T, CliError> {
    let number = text.parse().ok().filter(|number: &T| *number >= T::from(1));
    number.ok_or_else(|| CliError::usage(format!("{text:?} is not a number above 0")))
}

fn fail_on(text: String) -> Result<FailOn, CliError> {
    crate::config::fail_on("fail-on", &text).map_err(|error| CliError::usage(error.to_string()))
}

/// Returns the named file, or the nearest one from the working directory upwards.
fn find(args: &ConfigArgs, environment: &Environment) -> Option<PathBuf> {
    if args.no_config {
        return None;
    }
    let named = args.config.clone().filter(|path| !path.as_os_str().is_empty());
    named.or_else(|| environment.path("IMGARCH_CONFIG")).or_else(|| {
        let above = environment.directory.as_ref()?.ancestors();
        above.map(|directory| directory.join(FILE_NAME)).find(|path| path.symlink_metadata().is_ok())
    })
}

fn read(path: &Path) -> Result<ConfigSettings, CliError> {
    let refuse = |text: String, hint: Option<String>| CliError::Usage { text, hint };
    let read = files::read_named_text(path, FILE_LIMIT);
    let text = read.map_err(|error| refuse(format!("reading {}: {error}", path.display()), None))?;
    ConfigSettings::parse(&text)
        .map_err(|error: ConfigError| refuse(format!("{}: {error}", path.display()), error.hint().map(str::to_string)))
}

/// Returns the platform's cache directory for imgarch.
fn cache_directory() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("imgarch"))
}

/// Returns the default number of layers to read in parallel. More than 16 only cost memory.
fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(4, usize::from).clamp(2, 16)
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SettingOrigin::Flag => "flag",
            SettingOrigin::Environment(name) => name,
            SettingOrigin::File => FILE_NAME,
            SettingOrigin::Default => "default",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the effective fail-on threshold and its origin.
    fn fail_on_with(
        flag: Option<FailOn>,
        variables: &[(&str, &str)],
        file: &str,
    ) -> Result<(FailOn, SettingOrigin), CliError> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE_NAME), file).unwrap();
        let mut environment = Environment::of_variables(variables);
        environment.directory = Some(directory.path().join("below"));
        let typed = Typed { fail_on: flag, ..Typed::default() };
        let settings = Settings::load(&ConfigArgs::default(), typed, &SourceArgs::default(), &environment)?;
        Ok((settings.fail_on.value, settings.fail_on.origin))
    }

    #[test]
    fn flags_win_over_the_environment_and_the_environment_over_the_file() {
        let variables = [("IMGARCH_FAIL_ON", "warning")];
        let file = "fail-on = \"never\"\n";
        assert_eq!(fail_on_with(Some(FailOn::Error), &variables, file).unwrap(), (FailOn::Error, SettingOrigin::Flag));
        let from_environment = (FailOn::Warning, SettingOrigin::Environment("IMGARCH_FAIL_ON"));
        assert_eq!(fail_on_with(None, &variables, file).unwrap(), from_environment);
        assert_eq!(fail_on_with(None, &[("IMGARCH_FAIL_ON", "")], file).unwrap(), (FailOn::Never, SettingOrigin::File));
        assert_eq!(fail_on_with(None, &[], "").unwrap(), (FailOn::Error, SettingOrigin::Default));
    }

    #[test]
    fn an_invalid_value_in_the_environment_is_reported_with_its_variable() {
        let error = fail_on_with(None, &[("IMGARCH_FAIL_ON", "sometimes")], "").unwrap_err();
        assert!(error.to_string().starts_with("IMGARCH_FAIL_ON: "), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
