//! Parses arguments, runs the command and returns its exit code.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods, clippy::disallowed_macros)]

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use imgarch::cli::{self, plugin::Invocation};

fn main() -> ExitCode {
    let invocation = cli::plugin::invocation(std::env::args_os());
    let mut out = io::BufWriter::new(IgnoreBrokenPipe(io::stdout().lock()));
    let result = invocation.and_then(|invocation| match invocation {
        Invocation::Run(args) => cli::run(*args, &mut out),
        Invocation::Print(text) => Ok(out.write_all(text.as_bytes()).map(|()| 0)?),
    });
    let result = result.and_then(|code| out.flush().map(|()| code).map_err(cli::CliError::from));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            cli::print_error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// A writer that ignores `EPIPE`, so that `imgarch scan ... | head` succeeds and the exit code stays the verdict's.
struct IgnoreBrokenPipe<W>(W);

impl<W: Write> Write for IgnoreBrokenPipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}
