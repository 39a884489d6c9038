//! Shell completions and manual pages, generated from the command definition, and the JSON schema.

use std::io::Write;
use std::path::PathBuf;

use clap::CommandFactory;

use super::Args;
use crate::report::json::JSON_SCHEMA;

#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell to print the script for.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write one page per command to this directory, which is created if needed.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn schema(out: &mut dyn Write) -> std::io::Result<u8> {
    out.write_all(JSON_SCHEMA.as_bytes())?;
    Ok(0)
}

pub fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "imgarch", &mut script);
    out.write_all(&script)?;
    Ok(0)
}

pub fn man(args: &ManArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    match &args.dir {
        None => clap_mangen::Man::new(Args::command()).render(out)?,
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            clap_mangen::generate_to(Args::command(), dir)?;
        }
    }
    Ok(0)
}
