//! From flags, environment and `.imgarch.toml` to what holds, and where each of it comes from: a flag wins over the
//! environment, the environment over the file, the file over the default.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::CliError;
use super::cache::CacheFlags;
use super::opening::SourceArgs;
use crate::config::{Config, ConfigError, FILE_NAME, HostSettings, Ignore};
use crate::image::{Limits, MemoryBudget};
use crate::judge::code::{Code, Severity};
use crate::scan::FailOn;
use crate::source::registry::HostOptions;

/// Which configuration file is read.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Read this file instead of the .imgarch.toml of this folder or the nearest one above it [env: IMGARCH_CONFIG].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read no configuration file.
    #[arg(long, conflicts_with = "config")]
    pub no_config: bool,
}

/// What was typed of the settings that a file or the environment may give too.
#[derive(Debug, Default)]
pub struct Typed {
    pub targets: Vec<String>,
    pub fail_on: Option<FailOn>,
    pub jobs: Option<u16>,
    pub baseline: Option<PathBuf>,
    pub cache: CacheFlags,
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Environment(&'static str),
    File,
    Default,
}

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub struct Sourced<T> {
    pub value: T,
    pub origin: Origin,
}

/// What holds.
#[derive(Debug)]
pub struct Settings {
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    pub targets: Sourced<Vec<String>>,
    pub fail_on: Sourced<FailOn>,
    pub timeout: Sourced<u64>,
    /// Seconds for the whole run.
    pub deadline: Sourced<u64>,
    /// Layers that are read at once; none: as many as there are processors, within bounds.
    pub jobs: Sourced<Option<u16>>,
    pub offline: Sourced<bool>,
    pub insecure: Sourced<bool>,
    pub ca_cert: Sourced<Vec<PathBuf>>,
    pub mirrors: Sourced<BTreeMap<String, Vec<String>>>,
    /// By host: what holds for that one only. Only a file says so.
    pub hosts: BTreeMap<String, HostOptions>,
    pub baseline: Sourced<Option<PathBuf>>,
    /// Where layers are remembered; none: nowhere.
    pub cache: Sourced<Option<PathBuf>>,
    pub cache_bytes: Sourced<u64>,
    /// Shared stores that are asked for layers, and the one that is given them: directories and URLs.
    pub cache_from: Sourced<Vec<String>>,
    pub cache_to: Sourced<Option<String>>,
    pub layer_bytes: Sourced<u64>,
    pub layer_names: Sourced<u64>,
    pub image_memory: Sourced<u64>,
    pub severities: BTreeMap<Code, Severity>,
    pub ignores: Vec<Ignore>,
}

/// A configuration is a page of text; a larger one is something else.
const FILE_LIMIT: u64 = 1 << 20;

/// Half a GiB holds the layers of some thousand images.
const CACHE_BYTES: u64 = 512 << 20;

/// Seconds to wait for a registry.
pub const TIMEOUT: u64 = 30;

/// Seconds for a whole run: as long as the usual CI service lets a job run.
pub const DEADLINE: u64 = 6 * 60 * 60;

impl Settings {
    pub fn load(args: &ConfigArgs, typed: Typed, sources: &SourceArgs) -> Result<Settings, CliError> {
        let (file, config) = match find(args)? {
            Some(path) => (Some(path.clone()), read(&path)?),
            None => (None, Config::default()),
        };
        let folder = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_path_buf();
        let given = |list: Vec<String>| (!list.is_empty()).then_some(list);
        let of_file = given(config.registries.ca_cert.clone());
        let paths = |list: Vec<String>| list.into_iter().map(PathBuf::from).collect::<Vec<_>>();
        let mirrors = Some(config.registries.mirrors.clone()).filter(|mirrors| !mirrors.is_empty());
        let (limits, defaults) = (&config.limits, Limits::default());
        let words = |text: String| Ok::<_, CliError>(text.split_whitespace().map(str::to_string).collect::<Vec<_>>());
        let no_flag = typed.cache.no_cache;
        let cache = if no_flag { Some(None) } else { None };
        let shared = |place: String| if place.contains("://") { place } else { beside(&folder, &place) };
        let no_cache = environment("IMGARCH_NO_CACHE", is_true)?.map(|(off, name)| (off, Origin::Environment(name)));
        Ok(Settings {
            targets: layered(given(typed.targets), "IMGARCH_TARGET", words, given(config.targets), Vec::new())?,
            fail_on: layered(typed.fail_on, "IMGARCH_FAIL_ON", fail_on, config.fail_on, FailOn::Error)?,
            timeout: layered(sources.timeout, "IMGARCH_TIMEOUT", number, limits.timeout, TIMEOUT)?,
            deadline: layered(sources.deadline, "IMGARCH_DEADLINE", number, limits.deadline, DEADLINE)?,
            jobs: layered(
                typed.jobs.map(Some),
                "IMGARCH_JOBS",
                |text| number(text).map(Some),
                limits.jobs.map(Some),
                None,
            )?,
            offline: layered(sources.offline.then_some(true), "IMGARCH_OFFLINE", is_true, None, false)?,
            insecure: layered(
                sources.insecure.then_some(true),
                "IMGARCH_INSECURE",
                is_true,
                config.registries.insecure,
                false,
            )?,
            ca_cert: layered(
                Some(sources.ca_cert.clone()).filter(|list| !list.is_empty()),
                "IMGARCH_CA_CERT",
                |text| words(text).map(paths),
                of_file.map(|list| list.iter().map(|name| folder.join(name)).collect()),
                Vec::new(),
            )?,
            mirrors: Sourced {
                origin: if mirrors.is_some() { Origin::File } else { Origin::Default },
                value: mirrors.unwrap_or_default(),
            },
            hosts: config.registries.hosts.iter().map(|(host, said)| (host.clone(), of_host(said, &folder))).collect(),
            baseline: layered(typed.baseline.map(Some), "IMGARCH_BASELINE", |text| Ok(Some(text.into())), None, None)?,
            cache: match (cache, no_cache) {
                (Some(none), _) => Sourced { value: none, origin: Origin::Flag },
                (None, Some((true, origin))) => Sourced { value: None, origin },
                _ => layered(None, "IMGARCH_CACHE_DIR", |text| Ok(Some(text.into())), None, cache_folder())?,
            },
            cache_from: layered(
                given(typed.cache.cache_from).or(no_flag.then(Vec::new)),
                "IMGARCH_CACHE_FROM",
                words,
                given(config.cache.from.into_iter().map(shared).collect()),
                Vec::new(),
            )?,
            cache_to: layered(
                typed.cache.cache_to.map(Some).or(no_flag.then_some(None)),
                "IMGARCH_CACHE_TO",
                |text| Ok(Some(text)),
                config.cache.to.map(shared).map(Some),
                None,
            )?,
            cache_bytes: layered(None, "IMGARCH_CACHE_BYTES", number, limits.cache_bytes, CACHE_BYTES)?,
            layer_bytes: layered(None, "IMGARCH_LAYER_BYTES", number, limits.layer_bytes, defaults.max_bytes)?,
            layer_names: layered(None, "IMGARCH_LAYER_NAMES", number, limits.layer_names, defaults.max_names)?,
            image_memory: layered(
                None,
                "IMGARCH_IMAGE_MEMORY",
                number,
                limits.image_memory,
                defaults.memory.limit() as u64,
            )?,
            severities: config.severities,
            ignores: config.ignores,
            file,
        })
    }

    /// What holds for a command that has flags on sources only; they are completed.
    pub fn of_sources(args: &ConfigArgs, sources: &mut SourceArgs) -> Result<Settings, CliError> {
        let settings = Settings::load(args, Typed::default(), sources)?;
        settings.apply_to(sources);
        Ok(settings)
    }

    /// The flags on sources as if all had been typed.
    pub fn apply_to(&self, sources: &mut SourceArgs) {
        sources.timeout = Some(self.timeout.value);
        sources.deadline = Some(self.deadline.value);
        sources.offline = self.offline.value;
        sources.insecure = self.insecure.value;
        sources.ca_cert = self.ca_cert.value.clone();
        sources.mirrors = self.mirrors.value.clone();
        sources.hosts = self.hosts.clone();
    }

    pub fn limits(&self) -> Limits {
        let memory = MemoryBudget::new(usize::try_from(self.image_memory.value).unwrap_or(usize::MAX));
        Limits { max_bytes: self.layer_bytes.value, max_names: self.layer_names.value, memory, ..Limits::default() }
    }
}

fn of_host(said: &HostSettings, folder: &Path) -> HostOptions {
    let ca_certs = said.ca_cert.iter().map(|name| folder.join(name)).collect();
    HostOptions { is_insecure: said.insecure, ca_certs }
}

/// A path of the configuration file, from that file's folder.
fn beside(folder: &Path, path: &str) -> String {
    folder.join(path).to_string_lossy().into_owned()
}

fn layered<T>(
    flag: Option<T>,
    name: &'static str,
    parse: impl Fn(String) -> Result<T, CliError>,
    file: Option<T>,
    default: T,
) -> Result<Sourced<T>, CliError> {
    if let Some(value) = flag {
        return Ok(Sourced { value, origin: Origin::Flag });
    }
    if let Some((value, name)) = environment(name, parse)? {
        return Ok(Sourced { value, origin: Origin::Environment(name) });
    }
    Ok(match file {
        Some(value) => Sourced { value, origin: Origin::File },
        None => Sourced { value: default, origin: Origin::Default },
    })
}

fn environment<T>(
    name: &'static str,
    parse: impl Fn(String) -> Result<T, CliError>,
) -> Result<Option<(T, &'static str)>, CliError> {
    let Some(text) = std::env::var(name).ok().filter(|text| !text.is_empty()) else { return Ok(None) };
    match parse(text) {
        Ok(value) => Ok(Some((value, name))),
        Err(error) => Err(CliError::usage(format!("{name}: {error}"))),
    }
}

fn is_true(text: String) -> Result<bool, CliError> {
    match text.as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(CliError::usage(format!("{text:?} is not true or false"))),
    }
}

fn number<T: std::str::FromStr + PartialOrd + From<u8>>(text: String) -> Result<T, CliError> {
    let number = text.parse().ok().filter(|number: &T| *number >= T::from(1));
    number.ok_or_else(|| CliError::usage(format!("{text:?} is no number above 0")))
}

fn fail_on(text: String) -> Result<FailOn, CliError> {
    crate::config::fail_on("fail-on", &text).map_err(|error| CliError::usage(error.to_string()))
}

/// The file that was named, or the nearest one from the working directory upwards.
fn find(args: &ConfigArgs) -> Result<Option<PathBuf>, CliError> {
    if args.no_config {
        return Ok(None);
    }
    let named = args.config.clone().or_else(|| std::env::var_os("IMGARCH_CONFIG").map(PathBuf::from));
    if let Some(path) = named.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(Some(path));
    }
    let Ok(folder) = std::env::current_dir() else { return Ok(None) };
    Ok(folder.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file()))
}

fn read(path: &Path) -> Result<Config, CliError> {
    let refuse = |text: String, hint: Option<String>| CliError::Usage { text, hint };
    let mut text = String::new();
    let file = std::fs::File::open(path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_string(&mut text));
    file.map_err(|error| refuse(format!("reading {}: {error}", path.display()), None))?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(refuse(format!("{} is larger than {FILE_LIMIT} bytes", path.display()), None));
    }
    Config::parse(&text)
        .map_err(|error: ConfigError| refuse(format!("{}: {error}", path.display()), error.hint().map(str::to_string)))
}

/// The platform's folder for what can be made again.
fn cache_folder() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("imgarch"))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Flag => "flag",
            Origin::Environment(name) => name,
            Origin::File => FILE_NAME,
            Origin::Default => "default",
        })
    }
}
