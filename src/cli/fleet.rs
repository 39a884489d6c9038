//! Flags of runs over many images: whole registries, shards, and saved results.

use std::collections::BTreeMap;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

use super::{CliError, Environment, Terminal};
use crate::image::{ImageError, Wanted, select};
use crate::oci::Reference;
use crate::report::escape::{plural, visible};
use crate::scan::pool::{Bounds, side_by_side};
use crate::scan::{OPENED_AT_ONCE, Shard};
use crate::source::SourceError;
use crate::source::input::{ImageOpener, OpenedInput};
use crate::source::registry::RegistryClient;

/// Flags for scanning many images.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Many images")]
pub struct FleetArgs {
    /// Scan every tag that a registry lists, or only those of repositories below PREFIX. Signatures, SBOMs and charts
    /// are skipped and counted.
    #[arg(long, value_name = "HOST[/PREFIX]", conflicts_with = "manifest")]
    pub registry: Option<String>,
    /// With --registry: scan only matching repositories (`team/*`) or tags (`team/app:v*`); `**/` matches any depth;
    /// repeatable.
    #[arg(long, value_name = "GLOB", requires = "registry")]
    include: Vec<String>,
    /// With --registry: skip matching repositories or tags, even if included; repeatable.
    #[arg(long, value_name = "GLOB", requires = "registry")]
    exclude: Vec<String>,
    /// With --registry: scan only the N most recently built tags of each repository.
    #[arg(long, value_name = "N", requires = "registry", value_parser = clap::value_parser!(u32).range(1..))]
    newest: Option<u32>,
    #[command(flatten)]
    pub part: PartArgs,
}

/// Flags of a run that scans one shard, or resumes another run.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Many images")]
pub struct PartArgs {
    /// Save the result of each finished image to a directory, s3://BUCKET/PREFIX, gs:// or az://, and skip images that
    /// have one. `imgarch merge` reports them. Anyone who can write there controls what is reported.
    #[arg(long, value_name = "PLACE")]
    pub results: Option<String>,
    /// Scan only shard I of N (counted from 1), split by repository. With N alone, I is taken from
    /// JOB_COMPLETION_INDEX, as in a Kubernetes Indexed Job.
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
}

impl PartArgs {
    /// Returns the shard of the images that this run scans.
    pub fn shard(&self, environment: &Environment) -> Result<Shard, CliError> {
        let Some(text) = &self.shard else { return Ok(Shard::WHOLE) };
        let refuse = |text: String| CliError::Usage {
            text,
            hint: Some("--shard 1/4 to --shard 4/4; in an Indexed Job, --shard 4 reads JOB_COMPLETION_INDEX".into()),
        };
        if text.contains('/') {
            return text.parse::<Shard>().map_err(|error| refuse(error.to_string()));
        }
        let count: u32 = text.parse().map_err(|_| refuse(format!("shard {text:?} is neither I/N nor N")))?;
        let index = environment.text("JOB_COMPLETION_INDEX");
        let index = index.ok_or_else(|| refuse(format!("--shard {count}: JOB_COMPLETION_INDEX is not set")))?;
        let number = index.parse::<u32>().ok().and_then(|index| index.checked_add(1));
        let shard = number.map(|number| Shard { number, count }).filter(|shard| shard.number <= shard.count);
        shard.ok_or_else(|| refuse(format!("JOB_COMPLETION_INDEX={index} is not one of {count} shards, from 0")))
    }
}

/// Notes which tags were skipped because they are not images.
pub fn note_artifacts(kinds: &[String], terminal: &Terminal) {
    if kinds.is_empty() {
        return;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_default() += 1;
    }
    let listed: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {}", visible(kind))).collect();
    terminal.note(&format!("skipped {} without an image: {}", plural(kinds.len(), "tag"), listed.join(", ")));
}

/// Lists the tags that `--registry` selects.
pub fn images_of_registry(
    args: &FleetArgs,
    client: &Arc<RegistryClient>,
    opener: &ImageOpener,
    terminal: &Terminal,
) -> Result<Vec<String>, CliError> {
    let Some(place) = &args.registry else { return Ok(Vec::new()) };
    let (host, prefix) = place.trim_end_matches('/').split_once('/').unwrap_or((place.trim_end_matches('/'), ""));
    let is_host = Reference::parse(&format!("{host}/x")).is_ok_and(|reference| reference.registry == host);
    if !is_host {
        return Err(CliError::Usage {
            text: format!("--registry {:?} is not HOST[/PREFIX]", crate::source::ImageRef::shown(place)),
            hint: Some("as in --registry registry.example:5000/team".into()),
        });
    }
    let filter = NameFilter::new(args)?;
    let repositories = repositories(client, host, prefix)?;
    // A registry can return any string as a name, and the name becomes part of the next request's URL.
    let is_name = |name: &String| Reference::parse(&format!("{host}/{name}")).is_ok();
    let (repositories, odd_repositories): (Vec<String>, Vec<String>) = repositories.into_iter().partition(is_name);
    let repositories: Vec<String> = repositories.into_iter().filter(|name| filter.may_have(name)).collect();
    let listed = side_by_side(
        repositories,
        LISTED,
        |_| 0,
        |_, name| {
            let tags = client.tags(host, &name);
            (name, tags)
        },
    );
    let (mut images, mut artifacts, mut odd) = (Vec::new(), Vec::new(), odd_repositories.len());
    for (name, tags) in listed {
        let mut of_repository = Vec::new();
        for tag in tags.map_err(failed)? {
            let image = format!("{host}/{name}:{tag}");
            match (Reference::parse(&image), cosign_kind(&tag)) {
                (Err(_), _) => odd += 1,
                (Ok(_), Some(kind)) => artifacts.push(kind.to_string()),
                (Ok(_), None) if filter.takes(&name, &tag) => of_repository.push(image),
                (Ok(_), None) => {}
            }
        }
        images.push(of_repository);
    }
    if odd > 0 {
        terminal.note(&format!("skipped {} of {host}: invalid image name", plural(odd, "name")));
    }
    note_artifacts(&artifacts, terminal);
    let images = match args.newest {
        None => images.into_iter().flatten().collect(),
        Some(newest) => newest_of(images, newest as usize, opener),
    };
    if images.is_empty() {
        return Err(CliError::Unknown { text: format!("no tag of {place} matches"), hint: None });
    }
    Ok(images)
}

const LISTED: Bounds = Bounds { width: OPENED_AT_ONCE, weight: u64::MAX };

fn failed(error: SourceError) -> CliError {
    CliError::Unknown { text: error.to_string(), hint: error.hint().map(str::to_string) }
}

/// Lists the repositories at or below `prefix`. If the registry cannot list repositories, tries `prefix` as a
/// repository.
fn repositories(client: &Arc<RegistryClient>, host: &str, prefix: &str) -> Result<Vec<String>, CliError> {
    match client.repositories(host) {
        Ok(names) => {
            let is_below = |name: &String| {
                let rest = name.strip_prefix(prefix);
                prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            Ok(names.into_iter().filter(is_below).collect())
        }
        Err(error) => {
            let has_tags = |name: &str| client.tags(host, name).is_ok_and(|tags| !tags.is_empty());
            if !prefix.is_empty() && has_tags(prefix) {
                return Ok(vec![prefix.to_string()]);
            }
            let cause = match error.bare() {
                SourceError::NotFound { .. } => format!("{host} does not list its repositories (no /v2/_catalog)"),
                _ => format!("{host} does not list its repositories: {error}"),
            };
            let hint = format!(
                "list them with the registry's own tool and pass the names with --images-from FILE, or name one \
                 repository: --registry {host}/REPOSITORY"
            );
            Err(CliError::Unknown { text: cause, hint: Some(hint) })
        }
    }
}

/// Returns what cosign stores under a tag, if the tag follows its scheme. Source: cosign, "Signature Spec", "Storage".
fn cosign_kind(tag: &str) -> Option<&'static str> {
    let (digest, kind) = tag.strip_prefix("sha256-")?.split_at_checked(64)?;
    let is_digest = digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let kind = match kind {
        ".sig" => "signature",
        ".att" => "attestation",
        ".sbom" => "SBOM",
        // The fallback tag for referrers, used if a registry has no referrers API.
        "" => "list of referrers",
        _ => return None,
    };
    is_digest.then_some(kind)
}

/// The compiled `--include` and `--exclude` globs.
struct NameFilter {
    include: Vec<GlobMatcher>,
    exclude: Vec<GlobMatcher>,
    /// True if an include glob names tags, so a repository's name alone does not decide.
    includes_tags: bool,
}

impl NameFilter {
    fn new(args: &FleetArgs) -> Result<NameFilter, CliError> {
        let compile = |pattern: &String| {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| CliError::usage(format!("{pattern:?}: {error}")))
        };
        Ok(NameFilter {
            include: args.include.iter().map(compile).collect::<Result<_, _>>()?,
            exclude: args.exclude.iter().map(compile).collect::<Result<_, _>>()?,
            includes_tags: args.include.iter().any(|pattern| pattern.contains(':')),
        })
    }

    /// Returns whether a repository may have a tag that matches.
    fn may_have(&self, repository: &str) -> bool {
        let is_included = self.include.is_empty() || self.includes_tags || is_any(&self.include, repository);
        is_included && !is_any(&self.exclude, repository)
    }

    fn takes(&self, repository: &str, tag: &str) -> bool {
        let name = format!("{repository}:{tag}");
        let is_named = |globs: &[GlobMatcher]| is_any(globs, repository) || is_any(globs, &name);
        (self.include.is_empty() || is_named(&self.include)) && !is_named(&self.exclude)
    }
}

fn is_any(globs: &[GlobMatcher], name: &str) -> bool {
    globs.iter().any(|glob| glob.is_match(name))
}

/// When a tag's image was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum BuildTime {
    /// A signature, SBOM or chart. It is skipped later and must not displace an image.
    NoImage,
    NotRecorded,
    At(jiff::Timestamp),
    /// Could not be read. The scan reports why.
    Unread,
}

/// Returns the `newest` most recently built tags of each repository, in list order. Among tags built at the same time,
/// later entries of the list win.
fn newest_of(repositories: Vec<Vec<String>>, newest: usize, opener: &ImageOpener) -> Vec<String> {
    let read = |image: &String| built(image, opener);
    let tags: Vec<(usize, String)> = repositories
        .into_iter()
        .enumerate()
        .flat_map(|(repository, tags)| tags.into_iter().map(move |tag| (repository, tag)))
        .collect();
    let built = side_by_side(tags.iter().collect(), LISTED, |_| 0, |_, (_, image): &(usize, String)| read(image));
    let mut by_repository: BTreeMap<usize, Vec<(BuildTime, usize)>> = BTreeMap::new();
    for (at, ((repository, _), built)) in tags.iter().zip(built).enumerate() {
        by_repository.entry(*repository).or_default().push((built, at));
    }
    let mut kept: Vec<usize> = Vec::new();
    for mut of_repository in by_repository.into_values() {
        of_repository.sort_by(|a, b| b.cmp(a));
        let unread = of_repository.iter().filter(|(built, _)| *built == BuildTime::Unread).count();
        kept.extend(of_repository.iter().take(newest.saturating_add(unread)).map(|(_, at)| at));
    }
    kept.sort_unstable();
    kept.into_iter().map(|at| tags[at].1.clone()).collect()
}

fn built(image: &str, opener: &ImageOpener) -> BuildTime {
    let Ok(opened) = opener.open(&format!("docker://{image}")) else { return BuildTime::Unread };
    let OpenedInput::Image(source) = opened.input else { return BuildTime::Unread };
    match select(&*source, &Wanted::default()) {
        Err(ImageError::Artifact { .. }) => BuildTime::NoImage,
        Err(_) => BuildTime::Unread,
        Ok(selection) => {
            let times = selection.images.iter().filter_map(|image| image.config.created.parse().ok());
            times.max().map_or(BuildTime::NotRecorded, BuildTime::At)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_matches_repositories_and_tags() {
        let filter = |include: &[&str], exclude: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
            NameFilter::new(&FleetArgs { include: owned(include), exclude: owned(exclude), ..FleetArgs::default() })
                .unwrap()
        };
        let all = filter(&[], &[]);
        assert!(all.may_have("a/b") && all.takes("a/b", "v1"));
        let team = filter(&["team/*"], &["team/old", "*/*:*-debug"]);
        assert!(team.may_have("team/app") && team.takes("team/app", "v1"));
        assert!(!team.may_have("team/deep/app") && !team.may_have("other/app") && !team.may_have("team/old"));
        assert!(!team.takes("team/app", "v1-debug"));
        let tags = filter(&["**/*:v[0-9]*"], &[]);
        assert!(tags.may_have("team/deep/app") && tags.takes("team/deep/app", "v1") && !tags.takes("team/app", "main"));
    }

    #[test]
    fn cosign_tags_are_recognised() {
        let digest = "a".repeat(64);
        assert_eq!(cosign_kind(&format!("sha256-{digest}.sig")), Some("signature"));
        assert_eq!(cosign_kind(&format!("sha256-{digest}.sbom")), Some("SBOM"));
        assert_eq!(cosign_kind(&format!("sha256-{digest}")), Some("list of referrers"));
        for tag in ["v1", "sha256-abc.sig", &format!("sha256-{digest}.txt"), &format!("sha256-{}.sig", "g".repeat(64))]
        {
            assert_eq!(cosign_kind(tag), None, "{tag}");
        }
    }
}
