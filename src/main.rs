//! Parse, run, exit code: the only place where the process ends.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use imgarch::cli;

fn main() -> ExitCode {
    let args = cli::Args::parse();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let result = cli::run(args, &mut out).and_then(|code| out.flush().map(|()| code).map_err(cli::CliError::from));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if !error.is_silent() {
                eprintln!("error: {error}");
                if let Some(hint) = error.hint() {
                    eprintln!("hint: {hint}");
                }
            }
            ExitCode::from(error.exit_code())
        }
    }
}
