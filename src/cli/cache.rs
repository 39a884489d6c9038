//! `imgarch cache`: what is remembered of layers, and forgetting it. Also where a scan's cache comes from.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::opening::SourceArgs;
use super::settings::{ConfigArgs, Settings, Typed};
use super::{CliError, Environment, Terminal};
use crate::cache::{Access, Cache, Store, StoreOptions};
use crate::scan::Options;

/// Shows or clears the cache of read layers.
#[derive(Debug, clap::Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Delete every layer of it.
    Clear,
}

/// Seconds for a request to a shared cache: it is to save time.
const STORE_TIMEOUT: u64 = 10;

pub fn run(args: &CacheArgs, environment: &Environment, out: &mut dyn Write) -> Result<u8, CliError> {
    let settings = Settings::load(&args.config, Typed::default(), &SourceArgs::default(), environment)?;
    let Some(folder) = &settings.cache.value else {
        writeln!(out, "no cache: {}", settings.cache.origin)?;
        return Ok(0);
    };
    let cache = Cache::new(folder, settings.cache_bytes.value, &build());
    let refuse = |error: std::io::Error| CliError::Unknown {
        text: format!("the cache in {}: {error}", folder.display()),
        hint: None,
    };
    let usage = match args.action {
        None => cache.usage().map_err(refuse)?,
        Some(Action::Clear) => cache.clear().map_err(refuse)?,
    };
    let layers = crate::report::escape::plural(usage.layers, "layer");
    let (bytes, limit) = (indicatif::BinaryBytes(usage.bytes), indicatif::BinaryBytes(settings.cache_bytes.value));
    match args.action {
        None => writeln!(out, "{}\n{layers}, {bytes} of at most {limit}", folder.display())?,
        Some(Action::Clear) => writeln!(out, "deleted {layers}, {bytes}")?,
    }
    Ok(0)
}

/// A store that results are kept in or read from. What it cannot do is an error when it is asked.
pub fn store(settings: &Settings, place: &str, access: Access) -> Result<Store, CliError> {
    if settings.offline.value && place.contains("://") && !place.starts_with("file://") {
        return Err(CliError::usage(format!("{} is not asked offline", crate::cache::shown(place))));
    }
    Store::open(place, access, &store_options(settings)).map_err(|error| CliError::usage(error.to_string()))
}

fn store_options(settings: &Settings) -> StoreOptions {
    StoreOptions {
        timeout: Duration::from_secs(settings.timeout.value.min(STORE_TIMEOUT)),
        // One that cannot be read stops the run where the registries' client is made.
        authorities: settings.ca_cert.value.iter().filter_map(|path| std::fs::read(path).ok()).collect(),
        variables: settings.cache_variables.clone(),
    }
}

/// The cache that the settings name: this machine's folder, shared stores, or both.
pub fn open(settings: &Settings) -> Result<Option<Arc<Cache>>, CliError> {
    let options = store_options(settings);
    let store = |place: &String, access| -> Result<Option<Store>, CliError> {
        // A directory is no network.
        if settings.offline.value && place.contains("://") && !place.starts_with("file://") {
            return Ok(None);
        }
        Store::open(place, access, &options).map(Some).map_err(|error| CliError::usage(error.to_string()))
    };
    // The one that is written to is made if it is a directory, and is then there to be read.
    let to = settings.cache_to.value.as_ref().map(|place| store(place, Access::Write)).transpose()?.flatten();
    let from = settings.cache_from.value.iter().map(|place| store(place, Access::Read));
    let from: Vec<Store> = from.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    Ok(match &settings.cache.value {
        Some(folder) => {
            let own = Cache::new(folder, settings.cache_bytes.value, &build());
            Some(Arc::new(own.with_stores(from, to)))
        }
        None if from.is_empty() && to.is_none() => None,
        None => Some(Arc::new(Cache::shared(from, to, &build()))),
    })
}

/// Holds a run's cache to its limit, and tells what did not work. Neither is a reason to fail a run.
pub fn trim(options: &Options, terminal: &Terminal) {
    let Some(cache) = &options.cache else { return };
    terminal.notes(&cache.take_notes());
    if let (Err(error), Some(folder)) = (cache.trim(), cache.folder()) {
        terminal.note(&format!("the cache in {} could not be trimmed: {error}", folder.display()));
    }
}

/// Between two releases inspection changes without a new version: then the program file itself tells builds apart.
#[expect(clippy::disallowed_methods, reason = "the program's own file identifies the build")]
pub fn build() -> String {
    if !cfg!(debug_assertions) {
        return String::new();
    }
    let program = std::env::current_exe().and_then(std::fs::metadata);
    program.and_then(|program| program.modified()).map_or_else(|_| "unknown".to_string(), |time| format!("{time:?}"))
}
