//! `imgarch cache`: what is remembered of layers, and forgetting it. Also where a scan's cache comes from.

use std::io::Write;
use std::sync::Arc;

use super::opening::SourceArgs;
use super::settings::{ConfigArgs, Settings, Typed};
use super::{CliError, Terminal};
use crate::cache::Cache;
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

pub fn run(args: &CacheArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let settings = Settings::load(&args.config, Typed::default(), &SourceArgs::default())?;
    let Some(cache) = open(&settings) else {
        writeln!(out, "no cache: {}", settings.cache.origin)?;
        return Ok(0);
    };
    let refuse = |error: std::io::Error| CliError::Unknown {
        text: format!("the cache in {}: {error}", cache.folder().display()),
        hint: None,
    };
    let usage = match args.action {
        None => cache.usage().map_err(refuse)?,
        Some(Action::Clear) => cache.clear().map_err(refuse)?,
    };
    let layers = crate::report::escape::plural(usage.layers, "layer");
    let (bytes, limit) = (indicatif::BinaryBytes(usage.bytes), indicatif::BinaryBytes(settings.cache_bytes.value));
    match args.action {
        None => writeln!(out, "{}\n{layers}, {bytes} of at most {limit}", cache.folder().display())?,
        Some(Action::Clear) => writeln!(out, "deleted {layers}, {bytes}")?,
    }
    Ok(0)
}

/// The cache that the settings name.
pub fn open(settings: &Settings) -> Option<Arc<Cache>> {
    let folder = settings.cache.value.as_ref()?;
    Some(Arc::new(Cache::new(folder, settings.cache_bytes.value, &build())))
}

/// Holds a run's cache to its limit. That it cannot be is no reason to fail a run.
pub fn trim(options: &Options, terminal: &Terminal) {
    if let Some(cache) = &options.cache
        && let Err(error) = cache.trim()
    {
        terminal.note(&format!("the cache in {} could not be trimmed: {error}", cache.folder().display()));
    }
}

/// Between two releases inspection changes without a new version: then the program file itself tells builds apart.
fn build() -> String {
    if !cfg!(debug_assertions) {
        return String::new();
    }
    let program = std::env::current_exe().and_then(std::fs::metadata);
    program.and_then(|program| program.modified()).map_or_else(|_| "unknown".to_string(), |time| format!("{time:?}"))
}
