//! `imgarch diff OLD NEW`: compares a new image with the one that it replaces.

use std::io::Write;

use super::settings::{CacheFlags, ConfigArgs, Settings, Typed};
use super::{CliError, Environment, Terminal, cache, opening, scan, targets};
use crate::report::diff;
use crate::scan::Options;

/// Compares two images: platforms and findings gained and lost. Exit code 1: the new image gained an error or lost a
/// platform; 3: one of them could not be read completely.
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// Image that runs today.
    old: String,
    /// Image that will replace it.
    new: String,
    /// Judge both images for this node instead of the platforms that they declare; repeatable.
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    format: DiffFormat,
    #[command(flatten)]
    cache: CacheFlags,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    sources: opening::SourceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DiffFormat {
    Text,
    Json,
}

pub fn run(
    args: &DiffArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let typed = Typed { targets: args.target.clone(), cache: args.cache.clone(), ..Typed::default() };
    let settings = Settings::load(&args.config, typed, &args.sources, environment)?;
    let targets = targets::of_texts(&settings.targets.value, environment, terminal)?;
    let options = Options { targets, cache: cache::open(&settings)?, ..settings.options() };
    let names = [args.old.clone(), args.new.clone()];
    let report = scan::read(&settings.sources.opener(options.cache.as_ref())?, &settings, terminal, &names, &options);
    let [old, new] = report.images.as_slice() else { unreachable!("a scan reports each image that was named") };
    for image in [old, new] {
        for problem in image.problems.iter().chain(image.platforms.iter().flat_map(|one| &one.problems)) {
            terminal.note(&format!("could not tell: {}: {}", image.name, problem.text));
        }
    }
    let difference = diff::compare(old, new);
    match args.format {
        DiffFormat::Text => terminal.wrap(out, |out| difference.write_text(out))?,
        DiffFormat::Json => difference.write_json(out)?,
    }
    Ok(difference.exit_code(&report))
}
