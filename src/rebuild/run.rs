//! Carries a plan out: build, push without a tag, verify, see that the tag has not moved, tag, verify again. The tag is
//! the last thing that changes; wherever this ends before, it names what it named.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::command::layout_folder;
use super::docker::{CommandLine, Docker};
use super::plan::{Build, Delivery, Means, Plan, Supply, SupplyPlace};
use super::published::{IndexText, Published};
use crate::oci::{Descriptor, Digest, Reference};
use crate::platform::Platform;

/// The registry and the scan, as the rim gives them.
pub trait World {
    /// What this tag of the repository names now; `None`: there is no such tag.
    fn tag(&self, tag: &Reference) -> Result<Option<Digest>, String>;

    /// Writes an index under this tag, and only there.
    fn put_index(&self, tag: &Reference, index: &IndexText) -> Result<(), String>;

    /// The index or manifest with this digest, with its descriptor.
    fn document(&self, digest: &Digest) -> Result<(Descriptor, Vec<u8>), String>;

    /// Scans `name` (`REPOSITORY@DIGEST`, `oci:FOLDER`) for this platform and the targets. What is wrong, one line each;
    /// empty means that it is fine. An error: it could not be told.
    fn verify(&self, name: &str, platform: Option<&Platform>) -> Result<Vec<String>, String>;

    /// Pushes a layout's blobs and manifests by digest and gives the digest of its one manifest or index.
    fn push_layout(&self, folder: &Path) -> Result<Digest, String>;

    /// Pushes the manifests of a supply by digest, with what is below them.
    fn push_supply(&self, supply: &Supply) -> Result<(), String>;

    /// Makes one OCI layout of those of single platforms.
    fn join_layouts(&self, folders: &[&Path], into: &Path) -> Result<(), String>;

    /// Whether the user wants it to end.
    fn is_interrupted(&self) -> bool;

    /// Makes an empty directory of this run.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

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
    Tagging { tag: String, digest: Digest },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub before: Option<Published>,
    /// `None`: a local layout was made, and no tag.
    pub after: Option<Published>,
    pub pushed: Vec<Pushed>,
    /// Other tags that moved with it.
    pub also: Vec<Reference>,
}

/// A built platform that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    pub platform: Platform,
    /// What a scan takes: `REPOSITORY@DIGEST`, or `oci:FOLDER`.
    pub name: String,
    pub digest: Option<Digest>,
    /// Its descriptors in the index to come.
    descriptors: Vec<String>,
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
    #[error("writing the index of {tag} failed: {cause}")]
    Tag { tag: String, cause: String },
    #[error("{tag} names {} after {put} was written to it", shown(.is))]
    TagWrong { tag: String, is: Option<Digest>, put: Digest },
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
    also: Vec<Reference>,
}

/// Carries out `plan`, which has something to build and no obstacle.
pub fn run(plan: &Plan, docker: &dyn Docker, world: &dyn World) -> Result<Done, RebuildError> {
    let tag = match plan.delivery {
        Delivery::Local => TagState::None,
        _ => TagState::Untouched(plan.request.reference.to_string()),
    };
    let mut run = Run { plan, docker, world, pushed: Vec::new(), tag, also: Vec::new() };
    match run.all() {
        Ok(after) => Ok(Done { before: plan.before.clone(), after, pushed: run.pushed, also: run.also }),
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
            match &build.means {
                Means::Buildx { command, metadata, .. } => self.build(build, command, metadata)?,
                Means::Supplied(supply) => self.supply(supply)?,
            }
            self.goes_on()?;
        }
        if let Some(output) = &self.plan.request.build.output {
            self.join(output)?;
            return Ok(None);
        }
        self.move_tags().map(Some)
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

    fn build(&mut self, build: &Build, command: &CommandLine, metadata: &Path) -> Result<(), Box<Cause>> {
        let platform = &build.platform;
        self.world.say(&Event::Building { platform: platform.clone(), command: command.clone() });
        let folder = layout_folder(&self.plan.request.build, platform);
        if self.plan.delivery != Delivery::ByDigest {
            // bake refuses to write where there is no directory.
            let made = self.world.make_directory(&folder);
            made.map_err(|cause| Cause::File { path: folder.clone(), cause })?;
        }
        let code = self.docker.pass(command).map_err(|cause| start_error(command, cause))?;
        if code != Some(0) {
            self.goes_on()?;
            return Err(Cause::Build { platform: platform.clone(), code }.into());
        }
        let local = format!("oci:{}", folder.display());
        if self.plan.delivery != Delivery::ByDigest {
            // A fault is found before anything leaves this machine.
            self.goes_on()?;
            self.verify(platform, &local)?;
            self.goes_on()?;
        }
        let digest = match self.plan.delivery {
            Delivery::Local | Delivery::Supplied => None,
            Delivery::ByDigest => Some(self.pushed_digest(platform, metadata)?),
            Delivery::ByLayout => {
                let push = self.world.push_layout(&folder);
                Some(push.map_err(|cause| Cause::Push { platform: platform.clone(), cause })?)
            }
        };
        let name = digest.as_ref().map_or(local, |digest| self.plan.request.reference.at(digest));
        self.is_pushed(Pushed { platform: platform.clone(), name, digest, descriptors: Vec::new() })?;
        let descriptors = self.pushed.last().map_or(Ok(Vec::new()), |pushed| self.descriptors_of(pushed))?;
        if let Some(pushed) = self.pushed.last_mut() {
            pushed.descriptors = descriptors;
        }
        Ok(())
    }

    /// Verifies what something else has built, before it leaves this machine and after.
    fn supply(&mut self, supply: &Supply) -> Result<(), Box<Cause>> {
        let Supply { platform, name, digest, descriptors, place } = supply;
        if *place == SupplyPlace::Here {
            self.verify(platform, name)?;
            self.goes_on()?;
            let push = self.world.push_supply(supply);
            push.map_err(|cause| Cause::Push { platform: platform.clone(), cause })?;
        }
        let (name, digest) = (self.plan.request.reference.at(digest), Some(digest.clone()));
        self.is_pushed(Pushed { platform: platform.clone(), name, digest, descriptors: descriptors.clone() })
    }

    /// Notes what is pushed, and verifies it.
    fn is_pushed(&mut self, pushed: Pushed) -> Result<(), Box<Cause>> {
        let Pushed { platform, name, digest, .. } = pushed.clone();
        self.pushed.push(pushed);
        if digest.is_some() {
            self.world.say(&Event::Pushed { platform: platform.clone(), name: name.clone() });
            self.goes_on()?;
            self.verify(&platform, &name)?;
        }
        self.world.say(&Event::Verified { platform, name });
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
    fn pushed_digest(&self, platform: &Platform, metadata: &Path) -> Result<Digest, Box<Cause>> {
        let refuse = |cause: String| Cause::Metadata { platform: platform.clone(), cause };
        let bytes = self.world.read(metadata).map_err(|error| refuse(format!("{}: {error}", metadata.display())))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        let nested = self.plan.request.build.bake.as_ref().map(|target| &value[&target.name]["containerimage.digest"]);
        let text = nested.unwrap_or(&value["containerimage.digest"]).as_str();
        let text = text.ok_or_else(|| refuse("there is no containerimage.digest in its metadata".to_string()))?;
        Ok(text.parse().map_err(|error: crate::oci::DigestError| refuse(error.to_string()))?)
    }

    /// Fails where this tag does not name what it named when the plan was made.
    fn is_unmoved(&self, tag: &Reference) -> Result<(), Box<Cause>> {
        let was = self.plan.before.as_ref().map(|before| before.digest.clone());
        let is = self.named_by(tag)?;
        // Another tag may be new.
        let is_new = is.is_none() && *tag != self.plan.request.reference;
        if is == was || is_new { Ok(()) } else { Err(Cause::TagMoved { tag: tag.to_string(), was, is }.into()) }
    }

    fn named_by(&self, tag: &Reference) -> Result<Option<Digest>, Box<Cause>> {
        let unreadable = |cause| Cause::TagUnreadable { tag: tag.to_string(), cause };
        Ok(self.world.tag(tag).map_err(unreadable)?)
    }

    /// Merges what stays with what was built, under the tag and then under the others that move with it.
    fn move_tags(&mut self) -> Result<Published, Box<Cause>> {
        let new = self.pushed.iter().flat_map(|pushed| &pushed.descriptors);
        let descriptors: Vec<String> = self.plan.staying.iter().chain(new).cloned().collect();
        let index = IndexText::compose(self.plan.before.as_ref(), &descriptors);
        let digest = Digest::of(&index.bytes);
        let request = &self.plan.request;
        self.is_unmoved(&request.reference)?;
        request.also.iter().try_for_each(|tag| self.is_unmoved(tag))?;
        self.move_tag(&request.reference, &index, &digest)?;
        let name = request.reference.at(&digest);
        let root = Descriptor::new(&index.media_type, digest.clone(), index.bytes.len() as u64);
        let unverified = |cause: String| Cause::Unverified { name: name.clone(), cause };
        let mut after = Published::read(&root, &index.bytes, None).map_err(|error| unverified(error.to_string()))?;
        if let Some(before) = &self.plan.before {
            after.know_nested(before);
        }
        for pushed in &self.pushed {
            self.verify(&pushed.platform, &name)?;
        }
        for tag in &request.also {
            self.goes_on()?;
            self.is_unmoved(tag)?;
            self.move_tag(tag, &index, &digest)?;
            self.also.push(tag.clone());
        }
        Ok(after)
    }

    fn move_tag(&mut self, tag: &Reference, index: &IndexText, digest: &Digest) -> Result<(), Box<Cause>> {
        self.world.say(&Event::Tagging { tag: tag.to_string(), digest: digest.clone() });
        let put = self.world.put_index(tag, index);
        let is = self.named_by(tag);
        if *tag == self.plan.request.reference
            && let Ok(is) = &is
            && *is != self.plan.before.as_ref().map(|before| before.digest.clone())
        {
            self.tag = TagState::Moved { tag: tag.to_string(), to: is.clone() };
        }
        put.map_err(|cause| Cause::Tag { tag: tag.to_string(), cause })?;
        let is = is?;
        if is.as_ref() != Some(digest) {
            return Err(Cause::TagWrong { tag: tag.to_string(), is, put: digest.clone() }.into());
        }
        Ok(())
    }

    /// The manifests that were pushed for one platform, as descriptors of the index to come.
    fn descriptors_of(&self, pushed: &Pushed) -> Result<Vec<String>, Box<Cause>> {
        let Some(digest) = &pushed.digest else { return Ok(Vec::new()) };
        let unverified = |cause: String| Cause::Unverified { name: pushed.name.clone(), cause };
        let (root, bytes) = self.world.document(digest).map_err(unverified)?;
        let published =
            Published::read(&root, &bytes, Some(&pushed.platform)).map_err(|error| unverified(error.to_string()))?;
        Ok(published.entries.into_iter().map(|entry| entry.raw).collect())
    }
}

fn start_error(command: &CommandLine, cause: io::Error) -> Cause {
    Cause::Start { program: command.0.first().cloned().unwrap_or_default(), cause }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
