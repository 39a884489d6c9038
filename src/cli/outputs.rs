//! Where formats go: `--format NAME` is standard output, `--format NAME=FILE` a file.

use std::path::PathBuf;

use super::CliError;

/// A format and its file; `None` is standard output.
pub type Output<F> = (F, Option<PathBuf>);

/// Reads the texts of `--format`. `names` are what `parse` takes.
pub fn outputs<F>(
    formats: &[String],
    parse: fn(&str) -> Option<F>,
    names: &[&str],
) -> Result<Vec<Output<F>>, CliError> {
    let mut outputs = Vec::new();
    for text in formats {
        let (name, path) = text.split_once('=').map_or((text.as_str(), None), |(name, path)| (name, Some(path.into())));
        let format = parse(name).ok_or_else(|| CliError::Usage {
            text: format!("unknown format {name:?}"),
            hint: Some(format!("formats are {}", names.join(", "))),
        })?;
        outputs.push((format, path));
    }
    if outputs.iter().filter(|(_, path)| path.is_none()).count() > 1 {
        return Err(CliError::usage(
            "two formats on standard output; give all but one a file: --format json=report.json",
        ));
    }
    Ok(outputs)
}

/// How a plan or doctor's checks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AnswerFormat {
    Text,
    Json,
}
