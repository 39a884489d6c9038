//! Carries a plan out: build, push without a tag, verify, see that the tag has not moved, tag, verify again. The tag is
//! the last thing that changes; wherever this ends before, it names what it named.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::docker::{CommandLine, Docker};
use super::plan::{Build, Delivery, Plan, Published, layout_folder, tag_command};
use crate::oci::{Descriptor, Digest};
use crate::platform::Platform;

/// The registry and the scan, as the rim gives them.
pub trait World {
    /// What the tag names now; `None`: there is no such tag.
    fn tag(&self) -> Result<Option<Digest>, String>;

    /// The index or manifest with this digest, with its descriptor.
    fn document(&self, digest: &Digest) -> Result<(Descriptor, Vec<u8>), String>;

    /// Scans `name` (`REPOSITORY@DIGEST`, `oci:FOLDER`) for this platform and the targets. What is wrong, one line each;
    /// empty means that it is fine. An error: it could not be told.
    fn verify(&self, name: &str, platform: Option<&Platform>) -> Result<Vec<String>, String>;

    /// Pushes a layout's blobs and manifests by digest and gives the digest of its one manifest or index.
    fn push_layout(&self, folder: &Path) -> Result<Digest, String>;

    /// Makes one OCI layout of those of single platforms.
    fn join_layouts(&self, folders: &[&Path], into: &Path) -> Result<(), String>;

    /// Whether the user wants it to end.
    fn is_interrupted(&self) -> bool;

    /// Writes a file of this run.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Reads a file of this run.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Tells the user what is done next, or was done.
    fn say(&self, event: &Event);
}

/// What happens on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Building { platform: Platform, command: CommandLine },
    Pushed { platform: Platform, name: String },
    Verified { platform: Platform, name: String },
    Tagging { command: CommandLine },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub before: Option<Published>,
    /// `None`: a local layout was made, and no tag.
    pub after: Option<Published>,
    pub pushed: Vec<Pushed>,
}

/// A built platform that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    pub platform: Platform,
    /// What a scan takes: `REPOSITORY@DIGEST`, or `oci:FOLDER`.
    pub name: String,
    pub digest: Option<Digest>,
}

/// Why a rebuild ended early, and what it leaves behind.
#[derive(Debug, thiserror::Error)]
#[error("{cause}{}", left_behind(.pushed, .tag))]
pub struct RebuildError {
    pub cause: Box<Cause>,
    /// Pushed by digest; no tag names them.
    pub pushed: Vec<Pushed>,
    pub tag: TagState,
}

/// What is known of the tag when a rebuild ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagState {
    Untouched(String),
    Moved {
        tag: String,
        to: Option<Digest>,
    },
    /// No tag was to be moved.
    None,
}

#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error("{program} cannot be run: {cause}")]
    Start { program: String, cause: io::Error },
    #[error("interrupted")]
    Interrupted,
    #[error("building {platform} failed ({})", ended(.code))]
    Build { platform: Platform, code: Option<i32> },
    #[error("buildx does not say what it pushed for {platform}: {cause}")]
    Metadata { platform: Platform, cause: String },
    #[error("pushing {platform} failed: {cause}")]
    Push { platform: Platform, cause: String },
    #[error("what was built for {platform} has a fault, in {name}:\n  {}", .faults.join("\n  "))]
    Faulty { platform: Platform, name: String, faults: Vec<String> },
    #[error("{name} could not be verified: {cause}")]
    Unverified { name: String, cause: String },
    #[error("{tag} moved while this was built: it was {}, and is {}", shown(.was), shown(.is))]
    TagMoved { tag: String, was: Option<Digest>, is: Option<Digest> },
    #[error("{tag} could not be read again: {cause}")]
    TagUnreadable { tag: String, cause: String },
    #[error("tagging failed: {0}")]
    Tag(String),
    #[error("the tag does not hold what was to be in it: {0}")]
    TagWrong(String),
    #[error("the layout cannot be made: {0}")]
    Layout(String),
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: io::Error },
}

fn ended(code: &Option<i32>) -> String {
    code.map_or("killed by a signal".to_string(), |code| format!("exit code {code}"))
}

fn shown(digest: &Option<Digest>) -> String {
    digest.as_ref().map_or("absent".to_string(), ToString::to_string)
}

fn left_behind(pushed: &[Pushed], tag: &TagState) -> String {
    let mut text = match tag {
        TagState::Untouched(tag) => format!("\n{tag} is as it was"),
        TagState::Moved { tag, to } => format!("\n{tag} now names {}", shown(to)),
        TagState::None => String::new(),
    };
    for one in pushed.iter().filter(|one| one.digest.is_some()) {
        text += &format!("\npushed without a tag: {} ({})", one.name, one.platform);
    }
    text
}

/// A run in progress.
struct Run<'a> {
    plan: &'a Plan,
    docker: &'a dyn Docker,
    world: &'a dyn World,
    pushed: Vec<Pushed>,
    tag: TagState,
}

/// Carries out `plan`, which has something to build and no obstacle.
pub fn run(plan: &Plan, docker: &dyn Docker, world: &dyn World) -> Result<Done, RebuildError> {
    let tag = match plan.delivery {
        Delivery::Local => TagState::None,
        _ => TagState::Untouched(plan.request.reference.to_string()),
    };
    let mut run = Run { plan, docker, world, pushed: Vec::new(), tag };
    match run.all() {
        Ok(after) => Ok(Done { before: plan.before.clone(), after, pushed: run.pushed }),
        // What failed then did so because of it.
        Err(_) if world.is_interrupted() => {
            Err(RebuildError { cause: Cause::Interrupted.into(), pushed: run.pushed, tag: run.tag })
        }
        Err(cause) => Err(RebuildError { cause, pushed: run.pushed, tag: run.tag }),
    }
}

impl Run<'_> {
    fn all(&mut self) -> Result<Option<Published>, Box<Cause>> {
        for build in &self.plan.build {
            self.build(build)?;
            self.goes_on()?;
        }
        if let Some(output) = &self.plan.request.build.output {
            self.join(output)?;
            return Ok(None);
        }
        self.is_unmoved()?;
        self.move_tag().map(Some)
    }

    /// What was built becomes one layout, which is scanned as it is.
    fn join(&mut self, output: &Path) -> Result<(), Box<Cause>> {
        let folders: Vec<PathBuf> =
            self.plan.build.iter().map(|build| layout_folder(&self.plan.request.build, &build.platform)).collect();
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        self.world.join_layouts(&folders, output).map_err(Cause::Layout)?;
        let name = format!("oci:{}", output.display());
        for pushed in &mut self.pushed {
            pushed.name = name.clone();
        }
        self.pushed.iter().try_for_each(|pushed| self.verify(&pushed.platform, &name))
    }

    fn build(&mut self, build: &Build) -> Result<(), Box<Cause>> {
        let platform = &build.platform;
        self.world.say(&Event::Building { platform: platform.clone(), command: build.command.clone() });
        let code = self.docker.pass(&build.command).map_err(|cause| start_error(&build.command, cause))?;
        if code != Some(0) {
            self.goes_on()?;
            return Err(Cause::Build { platform: platform.clone(), code }.into());
        }
        let folder = layout_folder(&self.plan.request.build, platform);
        let local = format!("oci:{}", folder.display());
        if self.plan.delivery != Delivery::ByDigest {
            // A fault is found before anything leaves this machine.
            self.goes_on()?;
            self.verify(platform, &local)?;
            self.goes_on()?;
        }
        let digest = match self.plan.delivery {
            Delivery::Local => None,
            Delivery::ByDigest => Some(self.pushed_digest(build)?),
            Delivery::ByLayout => {
                let push = self.world.push_layout(&folder);
                Some(push.map_err(|cause| Cause::Push { platform: platform.clone(), cause })?)
            }
        };
        let name = digest.as_ref().map_or(local, |digest| self.plan.request.reference.at(digest));
        self.pushed.push(Pushed { platform: platform.clone(), name: name.clone(), digest: digest.clone() });
        if digest.is_some() {
            self.world.say(&Event::Pushed { platform: platform.clone(), name: name.clone() });
            self.goes_on()?;
            self.verify(platform, &name)?;
        }
        self.world.say(&Event::Verified { platform: platform.clone(), name });
        Ok(())
    }

    /// Between steps it ends where the user wants it to.
    fn goes_on(&self) -> Result<(), Box<Cause>> {
        if self.world.is_interrupted() { Err(Cause::Interrupted.into()) } else { Ok(()) }
    }

    fn verify(&self, platform: &Platform, name: &str) -> Result<(), Box<Cause>> {
        let unverified = |cause| Cause::Unverified { name: name.to_string(), cause };
        let faults = self.world.verify(name, Some(platform)).map_err(unverified)?;
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Cause::Faulty { platform: platform.clone(), name: name.to_string(), faults }.into()),
        }
    }

    /// `containerimage.digest` of buildx's metadata; bake nests it under its target.
    fn pushed_digest(&self, build: &Build) -> Result<Digest, Box<Cause>> {
        let refuse = |cause: String| Cause::Metadata { platform: build.platform.clone(), cause };
        let bytes = self
            .world
            .read(&build.metadata)
            .map_err(|error| refuse(format!("{}: {error}", build.metadata.display())))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        let nested = self.plan.request.build.bake.as_ref().map(|target| &value[&target.name]["containerimage.digest"]);
        let text = nested.unwrap_or(&value["containerimage.digest"]).as_str();
        let text = text.ok_or_else(|| refuse("there is no containerimage.digest in its metadata".to_string()))?;
        Ok(text.parse().map_err(|error: crate::oci::DigestError| refuse(error.to_string()))?)
    }

    fn is_unmoved(&self) -> Result<(), Box<Cause>> {
        let tag = self.plan.request.reference.to_string();
        let was = self.plan.before.as_ref().map(|before| before.digest.clone());
        let is = self.world.tag().map_err(|cause| Cause::TagUnreadable { tag: tag.clone(), cause })?;
        if is == was { Ok(()) } else { Err(Cause::TagMoved { tag, was, is }.into()) }
    }

    /// Merges what stays with what was built, under the tag, and reads it again.
    fn move_tag(&mut self) -> Result<Published, Box<Cause>> {
        let mut wanted: Vec<Value> = self.plan.keep.iter().map(|kept| kept.entry.raw.clone()).collect();
        for pushed in &self.pushed {
            wanted.extend(self.entries_of(pushed)?);
        }
        let mut files = Vec::new();
        for (at, raw) in wanted.iter().enumerate() {
            let path = self.plan.request.build.work.join(format!("descriptor-{at}.json"));
            let written = self.world.write(&path, raw.to_string().as_bytes());
            written.map_err(|cause| Cause::File { path: path.clone(), cause })?;
            files.push(path);
        }
        let none = std::collections::BTreeMap::new();
        let annotations = self.plan.before.as_ref().map_or(&none, |before| &before.annotations);
        let command = tag_command(&self.plan.request, annotations, &files);
        self.world.say(&Event::Tagging { command: command.clone() });
        let answer = self.docker.ask(&command).map_err(|cause| start_error(&command, cause))?;
        let reference = self.plan.request.reference.to_string();
        let is = self.world.tag().map_err(|cause| Cause::TagUnreadable { tag: reference.clone(), cause })?;
        if is != self.plan.before.as_ref().map(|before| before.digest.clone()) {
            self.tag = TagState::Moved { tag: reference, to: is.clone() };
        }
        if !answer.is_success() {
            return Err(Cause::Tag(answer.complaint()).into());
        }
        let digest = is.ok_or_else(|| Cause::TagWrong("it is absent".to_string()))?;
        self.read_again(&digest, &wanted)
    }

    /// The manifests that were pushed for one platform, as descriptors of the index to come.
    fn entries_of(&self, pushed: &Pushed) -> Result<Vec<Value>, Box<Cause>> {
        let Some(digest) = &pushed.digest else { return Ok(Vec::new()) };
        let unverified = |cause: String| Cause::Unverified { name: pushed.name.clone(), cause };
        let (root, bytes) = self.world.document(digest).map_err(unverified)?;
        let published =
            Published::read(&root, &bytes, Some(&pushed.platform)).map_err(|error| unverified(error.to_string()))?;
        Ok(published.entries.into_iter().map(|entry| entry.raw).collect())
    }

    /// Everything that was to be in the tag is in it, and it starts.
    fn read_again(&self, digest: &Digest, wanted: &[Value]) -> Result<Published, Box<Cause>> {
        let name = self.plan.request.reference.at(digest);
        let unverified = |cause: String| Cause::Unverified { name: name.clone(), cause };
        let (root, bytes) = self.world.document(digest).map_err(unverified)?;
        let first = self.pushed.first().map(|pushed| &pushed.platform);
        let after = Published::read(&root, &bytes, first).map_err(|error| unverified(error.to_string()))?;
        for raw in wanted {
            let digest = raw["digest"].as_str().unwrap_or_default();
            if !after.entries.iter().any(|entry| entry.descriptor.digest.as_str() == digest) {
                return Err(Cause::TagWrong(format!("{digest} is not in {name}")).into());
            }
        }
        for pushed in &self.pushed {
            let faults = self.world.verify(&name, Some(&pushed.platform)).map_err(unverified)?;
            if !faults.is_empty() {
                return Err(Cause::Faulty { platform: pushed.platform.clone(), name: name.clone(), faults }.into());
            }
        }
        Ok(after)
    }
}

fn start_error(command: &CommandLine, cause: io::Error) -> Cause {
    Cause::Start { program: command.0.first().cloned().unwrap_or_default(), cause }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
