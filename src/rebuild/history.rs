//! Finds out how long earlier builds took, from the builder's own history. buildx 0.21 and later has one.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::docker::{CommandLine, Docker, QUERY_LIMIT};
use crate::platform::Platform;

/// How many of the latest builds to look at. Each takes one command.
const MAX_BUILDS: usize = 5;

/// The last build of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastBuild {
    pub platform: Platform,
    pub took: Duration,
    /// How many platforms it built.
    pub platforms: usize,
}

/// One completed build.
#[derive(Debug, PartialEq, Eq)]
struct BuildRecord {
    name: String,
    context: String,
    took: Duration,
    platforms: Vec<Platform>,
}

/// Returns the last builds of these platforms from the directory `context`, as far as the builder has recorded them.
pub fn last_builds(docker: &dyn Docker, builder: &str, context: &Path, platforms: &[Platform]) -> Vec<LastBuild> {
    let Ok(context) = context.canonicalize() else { return Vec::new() };
    let query = |words: &[&str]| {
        let line = CommandLine::docker(["buildx", "history"].into_iter().chain(words.iter().copied()));
        let output = docker.output(&line, QUERY_LIMIT).ok()?;
        output.is_success().then_some(output.stdout)
    };
    let listed = query(&["ls", "--builder", builder, "--format", "json"]).unwrap_or_default();
    let mut found: Vec<LastBuild> = Vec::new();
    for id in completed(&listed).into_iter().take(MAX_BUILDS) {
        let missing: Vec<&Platform> =
            platforms.iter().filter(|one| !found.iter().any(|last| last.platform == **one)).collect();
        if missing.is_empty() {
            break;
        }
        let text = query(&["inspect", "--builder", builder, "--format", "json", &id]).unwrap_or_default();
        let Some(record) = record(&text).filter(|record| record.is_of(&context)) else { continue };
        for platform in missing.into_iter().filter(|one| record.platforms.contains(one)) {
            found.push(LastBuild { platform: platform.clone(), took: record.took, platforms: record.platforms.len() });
        }
    }
    found
}

/// Parses `docker buildx history ls --format json`, one build a line, latest first. Returns the IDs of the completed.
fn completed(text: &str) -> Vec<String> {
    let values = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let done = values.filter(|value| value["status"] == "Completed");
    let mut builds: Vec<(String, String)> = done
        .filter_map(|value| {
            let id = value["ref"].as_str()?.rsplit('/').next()?.to_string();
            Some((value["created_at"].as_str()?.to_string(), id))
        })
        .collect();
    // RFC 3339 in UTC sorts as text.
    builds.sort();
    builds.into_iter().rev().map(|(_, id)| id).collect()
}

/// Parses `docker buildx history inspect --format json`.
fn record(text: &str) -> Option<BuildRecord> {
    let value: Value = serde_json::from_str(text).ok()?;
    let platforms = value["Platform"].as_array()?.iter().filter_map(Value::as_str);
    Some(BuildRecord {
        name: value["Name"].as_str().unwrap_or_default().to_string(),
        context: value["Context"].as_str()?.to_string(),
        took: Duration::from_nanos(value["Duration"].as_u64()?),
        platforms: platforms.filter_map(|text| Platform::parse(text).ok()).collect(),
    })
}

impl BuildRecord {
    /// Whether its context was this directory. buildx 0.29 records an absolute path, with or without its first slash, a
    /// path in the Git repository, or `.`. Its name then starts with the name of the directory.
    fn is_of(&self, directory: &Path) -> bool {
        match self.context.as_str() {
            "" | "." => {
                let name = self.name.split(['/', ' ']).next().unwrap_or_default();
                directory.file_name().is_some_and(|last| last.to_string_lossy() == name)
            }
            context => directory.ends_with(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::docker::CommandOutput;
    use super::*;

    /// buildx 0.29.
    const LISTED: &str = r#"{"cached_steps":0,"completed_at":"2026-11-30T05:46:42.383Z","created_at":"2026-11-30T05:46:42.219831051Z","name":"app/Nope","ref":"default/default/a8p0","status":"Error","total_steps":1}
{"completed_at":"2026-11-30T05:46:11Z","created_at":"2026-11-30T05:46:10.66Z","name":"app","ref":"default/default/mssv","status":"Completed"}
{"completed_at":"2026-11-30T05:46:13Z","created_at":"2026-11-30T05:46:12.35Z","name":"app","ref":"default/default/rjfv","status":"Completed"}
"#;

    struct Builder {
        name: String,
        context: String,
    }

    impl Docker for Builder {
        fn output(&self, line: &CommandLine, _: Duration) -> io::Result<CommandOutput> {
            let line = line.to_string();
            let stdout = match line.as_str() {
                "docker buildx history ls --builder b --format json" => LISTED.to_string(),
                "docker buildx history inspect --builder b --format json rjfv" => serde_json::json!({"Name": self.name,
                    "Context": self.context, "Dockerfile": "Dockerfile", "Duration": 192_429_890_000_u64,
                    "Platform": ["linux/arm64", "linux/amd64"], "Status": "completed"})
                .to_string(),
                "docker buildx history inspect --builder b --format json mssv" => "{}".to_string(),
                _ => panic!("unexpected command: {line}"),
            };
            Ok(CommandOutput { code: Some(0), stdout, stderr: String::new() })
        }

        fn status(&self, line: &CommandLine, _: Option<&str>) -> io::Result<Option<i32>> {
            panic!("unexpected command: {line}")
        }
    }

    #[test]
    fn the_last_build_of_the_same_directory_and_platform_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        let platforms = ["linux/arm64", "linux/riscv64"].map(|text| Platform::parse(text).unwrap());
        let base = path.file_name().unwrap().to_string_lossy().into_owned();
        let named = |name: &str, context: &str| {
            let builder = Builder { name: name.to_string(), context: context.to_string() };
            last_builds(&builder, "b", directory.path(), &platforms)
        };
        let found = |context: &str| named("any", context);
        let took = Duration::from_nanos(192_429_890_000);
        let expected = vec![LastBuild { platform: platforms[0].clone(), took, platforms: 2 }];
        assert_eq!(found(path.to_string_lossy().trim_start_matches('/')), expected);
        assert_eq!(found(&path.to_string_lossy()), expected);
        assert_eq!(found(&base), expected);
        assert_eq!(named(&format!("{base}/Other.Dockerfile"), "."), expected);
        assert_eq!(named("another", "."), []);
        assert_eq!(found("another/app"), []);
    }
}
