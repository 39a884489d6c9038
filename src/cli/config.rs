//! `imgarch config`: prints each effective setting and its origin.

use std::io::Write;
use std::path::Path;

use super::opening::SourceArgs;
use super::settings::{ConfigArgs, SettingOrigin, Settings, Sourced, Typed};
use super::{CliError, Environment};
use crate::report::escape::visible;
use crate::scan::FailOn;

/// Shows the settings that a scan in this directory would use.
#[derive(Debug, clap::Args)]
pub struct ConfigCommand {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Prints a table, or a line for each setting if a table is wider than `width`.
pub fn run(args: &ConfigCommand, environment: &Environment, width: usize, out: &mut dyn Write) -> Result<u8, CliError> {
    let settings = Settings::load(&args.config, Typed::default(), &SourceArgs::default(), environment)?;
    let file = settings.file.as_ref().map_or_else(|| "none".to_string(), |path| path.display().to_string());
    writeln!(out, "configuration file: {}\n", visible(&file))?;
    let mut rows: Vec<[String; 3]> = Vec::new();
    let own_name = settings.file.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    let mut add = |name: &str, value: String, origin: &SettingOrigin| {
        // With `--config` the file may have another name.
        let origin = match (origin, &own_name) {
            (SettingOrigin::File, Some(name)) => visible(name),
            _ => origin.to_string(),
        };
        rows.push([name.to_string(), visible(&value), origin]);
    };
    let list = |values: &[String]| if values.is_empty() { "none".to_string() } else { values.join(" ") };
    add("targets", list(&settings.targets.value), &settings.targets.origin);
    let fail_on = match settings.fail_on.value {
        FailOn::Error => "error",
        FailOn::Warning => "warning",
        FailOn::Never => "never",
    };
    add("fail-on", fail_on.to_string(), &settings.fail_on.origin);
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map_or_else(|| "none".to_string(), |path| path.display().to_string())
    };
    add("baseline", path(&settings.baseline.value), &settings.baseline.origin);
    add("registries.insecure", settings.insecure.value.to_string(), &settings.insecure.origin);
    let certs: Vec<String> = settings.ca_cert.value.iter().map(|path| path.display().to_string()).collect();
    add("registries.ca-cert", list(&certs), &settings.ca_cert.origin);
    for (registry, mirrors) in &settings.mirrors.value {
        add(&format!("registries.mirrors.{registry}"), list(mirrors), &settings.mirrors.origin);
    }
    for (host, options) in &settings.hosts {
        add(&format!("registries.hosts.{host}.insecure"), options.is_insecure.to_string(), &SettingOrigin::File);
        let certs: Vec<String> = options.ca_certs.iter().map(|path| path.display().to_string()).collect();
        add(&format!("registries.hosts.{host}.ca-cert"), list(&certs), &SettingOrigin::File);
    }
    add("offline", settings.offline.value.to_string(), &settings.offline.origin);
    add("cache", path(&settings.cache.value), &settings.cache.origin);
    let shown: Vec<String> = settings.cache_from.value.iter().map(|place| crate::cache::shown(place)).collect();
    add("cache.from", list(&shown), &settings.cache_from.origin);
    let shown: Vec<String> = settings.cache_to.value.iter().map(|place| crate::cache::shown(place)).collect();
    add("cache.to", list(&shown), &settings.cache_to.origin);
    let number = |sourced: &Sourced<u64>| sourced.value.to_string();
    add("limits.timeout", number(&settings.timeout), &settings.timeout.origin);
    add("limits.deadline", number(&settings.deadline), &settings.deadline.origin);
    let jobs = settings.jobs.value.map_or_else(|| "by processor count".to_string(), |jobs| jobs.to_string());
    add("limits.jobs", jobs, &settings.jobs.origin);
    add("limits.layer-bytes", number(&settings.layer_bytes), &settings.layer_bytes.origin);
    add("limits.layer-names", number(&settings.layer_names), &settings.layer_names.origin);
    add("limits.image-memory", number(&settings.image_memory), &settings.image_memory.origin);
    add("limits.cache-bytes", number(&settings.cache_bytes), &settings.cache_bytes.origin);
    for (code, severity) in &settings.severities {
        add(&format!("severity.{code}"), severity.word().to_string(), &SettingOrigin::File);
    }
    for (index, ignore) in settings.ignores.iter().enumerate() {
        add(&format!("ignore {}", index + 1), ignore.to_string(), &SettingOrigin::File);
    }
    let widths = [0, 1].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let origins = rows.iter().map(|row| row[2].chars().count()).max().unwrap_or(0);
    let is_narrow = widths[0] + widths[1] + origins + 4 > width;
    for [name, value, origin] in &rows {
        if is_narrow {
            writeln!(out, "{name}: {value} ({origin})")?;
        } else {
            writeln!(out, "{name:w0$}  {value:w1$}  {origin}", w0 = widths[0], w1 = widths[1])?;
        }
    }
    Ok(0)
}
