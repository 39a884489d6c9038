//! Parses output formats: `--format NAME` writes to stdout, `--format NAME=FILE` to a file.

use std::path::{Path, PathBuf};

use super::CliError;

/// A format and its file; `None` is stdout.
pub type ReportOutput<F> = (F, Option<PathBuf>);

/// Parses `--format` and `--output`. `--output` is the file of the only format without one. `names` are the formats
/// that `parse` accepts.
pub fn outputs<F>(
    formats: &[String],
    output: Option<&Path>,
    parse: fn(&str) -> Option<F>,
    names: &[&str],
) -> Result<Vec<ReportOutput<F>>, CliError> {
    let mut outputs = Vec::new();
    for text in formats {
        let (name, path) = text.split_once('=').map_or((text.as_str(), None), |(name, path)| (name, Some(path.into())));
        let format = parse(name).ok_or_else(|| CliError::Usage {
            text: format!("unknown format {name:?}"),
            hint: Some(format!("expected one of {}", names.join(", "))),
        })?;
        outputs.push((format, path));
    }
    if let Some(file) = output {
        match outputs.iter_mut().filter(|(_, path)| path.is_none()).collect::<Vec<_>>().as_mut_slice() {
            [(_, path)] => *path = Some(file.to_path_buf()),
            _ => {
                return Err(CliError::Usage {
                    text: "--output needs exactly one format without a file".to_string(),
                    hint: Some("give each format its file: --format json=report.json".to_string()),
                });
            }
        }
    }
    if outputs.iter().filter(|(_, path)| path.is_none()).count() > 1 {
        return Err(CliError::usage(
            "only one format can go to stdout; give the others a file: --format json=report.json",
        ));
    }
    Ok(outputs)
}

/// The output format of `rebuild` and `doctor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AnswerFormat {
    Text,
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ReportFormat;

    fn files(formats: &[&str], output: Option<&str>) -> Result<Vec<Option<PathBuf>>, String> {
        let formats: Vec<String> = formats.iter().map(|text| text.to_string()).collect();
        let outputs = outputs(&formats, output.map(Path::new), ReportFormat::parse, &ReportFormat::names());
        outputs.map(|all| all.into_iter().map(|(_, path)| path).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn output_is_the_file_of_the_only_format_without_one() {
        assert_eq!(files(&["json"], None).unwrap(), [None]);
        assert_eq!(files(&["json"], Some("a.json")).unwrap(), [Some(PathBuf::from("a.json"))]);
        let both = files(&["table", "json=b.json"], Some("a.txt")).unwrap();
        assert_eq!(both, [Some(PathBuf::from("a.txt")), Some(PathBuf::from("b.json"))]);
        assert!(files(&["table", "json"], Some("a.txt")).unwrap_err().contains("--output"));
        assert!(files(&["json=b.json"], Some("a.txt")).unwrap_err().contains("--output"));
    }
}
