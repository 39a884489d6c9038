//! imgarch as a docker or kubectl plugin: the same binary under another name.
//!
//! Docker runs `docker-imgarch docker-cli-plugin-metadata` to list its plugins. For `docker imgarch WORD...` it runs
//! `docker-imgarch [docker's flags] imgarch WORD...`, and for `docker help imgarch`, `docker-imgarch help imgarch`.
//! Kubectl runs `kubectl-imgarch WORD...`. Source: docker/cli cli-plugins/manager; kubectl pkg/cmd/cmd.go,
//! HandlePluginCommand.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{CommandFactory, FromArgMatches};

use super::{Args, CliError, peers};

/// The command that started this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    None,
    Docker,
    Kubectl,
}

impl Host {
    fn from_program(program: &OsStr) -> Host {
        match Path::new(program).file_stem().and_then(OsStr::to_str) {
            Some("docker-imgarch") => Host::Docker,
            Some("kubectl-imgarch") => Host::Kubectl,
            _ => Host::None,
        }
    }

    /// Returns the command that users type.
    fn command(self) -> &'static str {
        match self {
            Host::None => "imgarch",
            Host::Docker => "docker imgarch",
            Host::Kubectl => "kubectl imgarch",
        }
    }
}

/// A parsed command line.
#[derive(Debug)]
pub enum Invocation {
    Run(Box<Args>),
    /// A text to print: the plugin metadata that Docker requests.
    Print(String),
}

/// The subcommand with which Docker requests a plugin's metadata.
const METADATA: &str = "docker-cli-plugin-metadata";

/// Parses the command line. On help and usage errors, clap ends the process.
///
/// # Errors
/// Fails on Docker's own flags before `imgarch`, which would have no effect, and on flags of other scanners.
pub fn invocation(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, CliError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let host = arguments.first().map_or(Host::None, |program| Host::from_program(program));
    if host == Host::Docker && arguments.get(1).is_some_and(|word| word == METADATA) {
        return Ok(Invocation::Print(metadata()));
    }
    let words = own_words(host, arguments)?;
    let mut command = Args::command();
    if host != Host::None {
        command = command.bin_name(host.command()).name(host.command());
    }
    let matches = match command.try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return Err(peers::answer(&error).unwrap_or_else(|| error.exit())),
    };
    Ok(Invocation::Run(Box::new(Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))))
}

/// Returns the program and its arguments, without the words that Docker inserts between them.
fn own_words(host: Host, arguments: Vec<OsString>) -> Result<Vec<OsString>, CliError> {
    if host != Host::Docker {
        return Ok(arguments);
    }
    let Some(at) = arguments.iter().position(|word| word == "imgarch") else { return Ok(arguments) };
    match &arguments[1..at] {
        [] => {}
        [help] if help == "help" => {
            return Ok(["docker-imgarch", "help"]
                .map(OsString::from)
                .into_iter()
                .chain(arguments[at + 1..].to_vec())
                .collect());
        }
        flags => {
            let flags: Vec<_> = flags.iter().map(|flag| flag.to_string_lossy()).collect();
            return Err(CliError::Usage {
                text: format!("docker's flags {:?} have no effect on docker imgarch", flags.join(" ")),
                hint: Some("choose the engine with DOCKER_HOST or DOCKER_CONTEXT".to_string()),
            });
        }
    }
    Ok(arguments[..1].iter().chain(&arguments[at + 1..]).cloned().collect())
}

/// Returns the plugin metadata. Source: docker/cli cli-plugins/metadata, version 0.1.0 of the schema.
fn metadata() -> String {
    let text = serde_json::json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "imgarch",
        "Version": concat!("v", env!("CARGO_PKG_VERSION")),
        "ShortDescription": "Find exec format errors in images and explain them",
        "URL": env!("CARGO_PKG_REPOSITORY"),
    });
    format!("{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(arguments: &[&str]) -> Result<Vec<String>, CliError> {
        let host = Host::from_program(OsStr::new(arguments[0]));
        let words = own_words(host, arguments.iter().map(OsString::from).collect())?;
        Ok(words.iter().map(|word| word.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn docker_puts_the_plugins_name_before_its_words() {
        let program = "/usr/libexec/docker/cli-plugins/docker-imgarch";
        assert_eq!(words(&[program, "imgarch", "scan", "imgarch"]).unwrap(), [program, "scan", "imgarch"]);
        assert_eq!(words(&[program, "help", "imgarch", "scan"]).unwrap(), ["docker-imgarch", "help", "scan"]);
        assert!(
            words(&[program, "--context", "x", "imgarch", "scan"]).unwrap_err().to_string().contains("--context x")
        );
    }

    #[test]
    fn kubectl_and_a_shell_pass_the_words_alone() {
        for program in ["kubectl-imgarch", "C:\\krew\\imgarch.exe", "imgarch"] {
            assert_eq!(words(&[program, "scan", "imgarch"]).unwrap(), [program, "scan", "imgarch"]);
        }
        assert_eq!(Host::from_program(OsStr::new("/home/a/.krew/bin/kubectl-imgarch")), Host::Kubectl);
    }

    #[test]
    fn docker_metadata_has_the_required_fields() {
        let arguments = ["docker-imgarch", METADATA].map(OsString::from);
        let Ok(Invocation::Print(text)) = invocation(arguments) else { panic!("metadata is printed") };
        let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(metadata["SchemaVersion"], "0.1.0");
        for field in ["Vendor", "Version", "ShortDescription"] {
            assert!(metadata[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
        }
    }
}
