//! Shell completions and manual pages, generated from the command definition, and the JSON schema.

use std::io::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::Args;
use crate::judge::code::CODES;
use crate::judge::facts::purpose;
use crate::lint::RULES;
use crate::platform::PROFILES;
use crate::report::ReportFormat;
use crate::report::json::JSON_SCHEMA;

#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell to print the script for.
    #[arg(value_enum)]
    shell: Shell,
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
    clap_complete::generate(args.shell, &mut with_values(Args::command()), "imgarch", &mut script);
    out.write_all(with_images(args.shell, String::from_utf8_lossy(&script).into_owned()).as_bytes())?;
    Ok(0)
}

/// The command definition with the values that a shell offers. The arguments accept others too, so it parses nothing.
fn with_values(command: Command) -> Command {
    let offered = command.mut_args(|arg| match values(arg.get_id().as_str()) {
        Some(values) if arg.get_possible_values().is_empty() => arg.value_parser(PossibleValuesParser::new(values)),
        _ => arg,
    });
    offered.mut_subcommands(with_values)
}

/// The values of an argument with this name.
fn values(argument: &str) -> Option<Vec<&'static str>> {
    match argument {
        "format" => Some(ReportFormat::names()),
        "target" => Some(PROFILES.iter().map(|profile| profile.name).collect()),
        "off" => Some(purpose::rule_names().into_keys().collect()),
        "code" => Some(CODES.iter().map(|row| row.name).chain(RULES.iter().map(|row| row.name)).collect()),
        _ => None,
    }
}

/// The subcommands whose arguments are images.
const OF_IMAGES: [&str; 4] = ["scan", "diff", "rebuild", "verify"];

/// A command that lists the images of the local engine.
const LIST_IMAGES: &str = "{ docker image ls --format '{{.Repository}}:{{.Tag}}' || podman image ls --format \
                           '{{.Repository}}:{{.Tag}}'; } 2>/dev/null | grep -v '<none>'";

/// The script with the names of local images for arguments that are images.
fn with_images(shell: Shell, script: String) -> String {
    match shell {
        Shell::Bash => format!(
            "{script}
_imgarch_with_images() {{
    _imgarch \"$@\"
    local word=\"${{COMP_WORDS[COMP_CWORD]}}\"
    case \"${{COMP_WORDS[1]}}\" in {}) ;; *) return ;; esac
    if [[ $COMP_CWORD -lt 2 || $word == -* || ${{COMP_WORDS[COMP_CWORD - 1]}} == -* ]]; then return; fi
    COMPREPLY+=($(compgen -W \"$({LIST_IMAGES})\" -- \"$word\"))
}}
complete -F _imgarch_with_images -o bashdefault -o default imgarch
",
            OF_IMAGES.join("|")
        ),
        Shell::Zsh => {
            let list = format!(
                "\n_imgarch_images() {{
    local -a images
    images=(${{(f)\"$({LIST_IMAGES})\"}})
    _alternative 'images:image:compadd -a images' 'files:file:_files'
}}\n"
            );
            let mut lines = Vec::new();
            for line in script.lines() {
                let is_image = ["'*::images -- ", "':image -- ", "':old -- ", "':new -- "];
                lines.push(match is_image.iter().any(|start| line.starts_with(start)) {
                    true => line.replace(":_default'", ":_imgarch_images'"),
                    false => line.to_string(),
                });
            }
            lines.insert(1, list);
            lines.join("\n") + "\n"
        }
        Shell::Fish => {
            let list =
                |engine: &str| format!("{engine} image ls --format '{{{{.Repository}}}}:{{{{.Tag}}}}' 2>/dev/null");
            let lists = format!("{}; or {}", list("docker"), list("podman"));
            let of_images = OF_IMAGES.join(" ");
            format!("{script}complete -c imgarch -n \"__fish_imgarch_using_subcommand {of_images}\" -a \"({lists})\"\n")
        }
        _ => script,
    }
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
