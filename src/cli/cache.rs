//! `imgarch cache`: shows or clears the layer cache. Also opens the cache of a scan.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use super::opening::SourceArgs;
use super::settings::{ConfigArgs, Settings, Typed};
use super::{CliError, Environment, Terminal};
use crate::cache::{Cache, RecordStore, StoreAccess, StoreOptions};
use crate::files;
use crate::scan::Options;

/// Shows or clears the layer cache.
#[derive(Debug, clap::Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    action: Option<CacheAction>,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, clap::Subcommand)]
enum CacheAction {
    /// Delete all cached layers.
    Clear,
}

/// Timeout of a request to a shared cache, in seconds. Kept short because the cache exists to save time.
const STORE_TIMEOUT: u64 = 10;

pub fn run(args: &CacheArgs, environment: &Environment, out: &mut dyn Write) -> Result<u8, CliError> {
    let settings = Settings::load(&args.config, Typed::default(), &SourceArgs::default(), environment)?;
    let Some(directory) = &settings.cache.value else {
        writeln!(out, "no cache: {}", settings.cache.origin)?;
        return Ok(0);
    };
    let cache = Cache::new(directory, settings.cache_bytes.value, &build());
    let refuse = |error: std::io::Error| CliError::Unknown {
        text: format!("accessing the cache in {}: {error}", directory.display()),
        hint: None,
    };
    let usage = match args.action {
        None => cache.usage().map_err(refuse)?,
        Some(CacheAction::Clear) => cache.clear().map_err(refuse)?,
    };
    let layers = crate::report::escape::plural(usage.layers, "layer");
    let (bytes, limit) = (indicatif::BinaryBytes(usage.bytes), indicatif::BinaryBytes(settings.cache_bytes.value));
    match args.action {
        None => writeln!(out, "{}\n{layers}, {bytes} of at most {limit}", directory.display())?,
        Some(CacheAction::Clear) => writeln!(out, "deleted {layers}, {bytes}")?,
    }
    Ok(0)
}

/// Opens a store to write results to or read them from. Operations that the store does not support fail when attempted.
pub fn store(settings: &Settings, place: &str, access: StoreAccess) -> Result<RecordStore, CliError> {
    if settings.offline.value && place.contains("://") && !place.starts_with("file://") {
        return Err(CliError::usage(format!("{} cannot be used offline", crate::cache::shown(place))));
    }
    RecordStore::open(place, access, &store_options(settings)).map_err(|error| CliError::usage(error.to_string()))
}

/// Maximum size of a file of certificates, in bytes.
const AUTHORITY_BYTES: u64 = 4 << 20;

fn store_options(settings: &Settings) -> StoreOptions {
    StoreOptions {
        timeout: Duration::from_secs(settings.timeout.value.min(STORE_TIMEOUT)),
        // A file that cannot be read is skipped here: it stops the run when the registry client is created.
        authorities: settings
            .ca_cert
            .value
            .iter()
            .filter_map(|path| files::read_named(path, AUTHORITY_BYTES).ok())
            .collect(),
        variables: settings.cache_variables.clone(),
    }
}

/// Opens the cache that the settings name: this machine's directory, shared stores, or both.
pub fn open(settings: &Settings) -> Result<Option<Arc<Cache>>, CliError> {
    let options = store_options(settings);
    let store = |place: &String, access| -> Result<Option<RecordStore>, CliError> {
        // A directory needs no network.
        if settings.offline.value && place.contains("://") && !place.starts_with("file://") {
            return Ok(None);
        }
        RecordStore::open(place, access, &options).map(Some).map_err(|error| CliError::usage(error.to_string()))
    };
    // Opening the writable store creates it if it is a directory, so it exists when it is also opened for reading.
    let to = settings.cache_to.value.as_ref().map(|place| store(place, StoreAccess::Write)).transpose()?.flatten();
    let from = settings.cache_from.value.iter().map(|place| store(place, StoreAccess::Read));
    let from: Vec<RecordStore> = from.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    Ok(match &settings.cache.value {
        Some(directory) => {
            let own = Cache::new(directory, settings.cache_bytes.value, &build());
            Some(Arc::new(own.with_stores(from, to)))
        }
        None if from.is_empty() && to.is_none() => None,
        None => Some(Arc::new(Cache::shared(from, to, &build()))),
    })
}

/// Trims the cache to its limit and reports cache errors. A cache error never fails a run.
pub fn trim(options: &Options, terminal: &Terminal) {
    let Some(cache) = &options.cache else { return };
    terminal.notes(&cache.take_notes());
    if let (Err(error), Some(directory)) = (cache.trim(), cache.directory()) {
        terminal.note(&format!("could not trim the cache in {}: {error}", directory.display()));
    }
}

/// Identifies a debug build by the modification time of its program file, because inspection can change between
/// releases without a new version.
#[expect(clippy::disallowed_methods, reason = "the program's own file identifies the build")]
pub fn build() -> String {
    if !cfg!(debug_assertions) {
        return String::new();
    }
    let program = std::env::current_exe().and_then(std::fs::metadata);
    program.and_then(|program| program.modified()).map_or_else(|_| "unknown".to_string(), |time| format!("{time:?}"))
}
