//! Completions, manual page and schema: all made from the one definition.

use std::io::Write;

use clap::CommandFactory;

use super::Args;
use crate::report::json::JSON_SCHEMA;

#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
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

pub fn man(out: &mut dyn Write) -> std::io::Result<u8> {
    clap_mangen::Man::new(Args::command()).render(out)?;
    Ok(0)
}
