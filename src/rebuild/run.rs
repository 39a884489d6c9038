//! Carries out a plan: build, push without a tag, verify, check that the tag has not moved, tag, verify again. The tag
//! changes last, so if a run ends early, the tag still points to the old image.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::Value;

use super::command::{BuildCommands, layout_directory};
use super::docker::{CommandLine, Docker, QUERY_LIMIT};
use super::plan::{Delivery, Means, PlannedBuild, RebuildPlan, Supply, SupplyPlace};
use super::published::{IndexText, Published};
use crate::oci::{Descriptor, Digest, Reference};
use crate::platform::Platform;

/// The operations that a run needs: registry, scan, files and user interface.
pub trait RebuildBackend {
    /// Returns the digest that this tag points to; `None` if the tag does not exist.
    fn tag(&self, tag: &Reference) -> Result<Option<Digest>, String>;

    /// Writes an index to this tag only.
    fn put_index(&self, tag: &Reference, index: &IndexText) -> Result<(), String>;

    /// Returns the index or manifest with this digest, and its descriptor.
    fn document(&self, digest: &Digest) -> Result<(Descriptor, Vec<u8>), String>;

    /// Scans `name` (`REPOSITORY@DIGEST`, `oci:DIR`) for this platform and the targets. Returns the faults, one line
    /// each, or an empty list if the image is fine. Fails if the image could not be judged.
    fn verify(&self, name: &str, platform: Option<&Platform>) -> Result<Vec<String>, String>;

    /// Pushes a layout's blobs and manifests by digest. Returns the digest of its root manifest or index.
    fn push_layout(&self, directory: &Path) -> Result<Digest, String>;

    /// Pushes the manifests of a supply by digest, with everything that they refer to.
    fn push_supply(&self, supply: &Supply) -> Result<(), String>;

    /// Joins the OCI layouts of single platforms into one.
    fn join_layouts(&self, directories: &[&Path], into: &Path) -> Result<(), String>;

    /// Whether the user interrupted the run.
    fn is_interrupted(&self) -> bool;

    /// Creates a directory for this run.
    fn make_directory(&self, path: &Path) -> io::Result<()>;

    /// Reads a file of this run.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Reports an event to the user.
    fn report(&self, event: &RunEvent);
}

/// Progress of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEvent {
    Building { platform: Platform, command: CommandLine },
    Pushed { platform: Platform, name: String },
    Verified { platform: Platform, name: String },
    Tagging { tag: String, digest: Digest },
}

/// The outcome of a successful run.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub before: Option<Published>,
    /// `None` if a local layout was written instead of a tag.
    pub after: Option<Published>,
    pub pushed: Vec<Pushed>,
    /// The other tags that moved with it.
    pub also: Vec<Reference>,
}

/// A platform that was built or supplied, and pushed unless the layout is local.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    pub platform: Platform,
    /// Its image name for a scan: `REPOSITORY@DIGEST`, or `oci:DIR`.
    pub name: String,
    pub digest: Option<Digest>,
    /// Its descriptors in the new index.
    descriptors: Vec<String>,
}

/// Why a rebuild ended early, and what it left in the registry.
#[derive(Debug, thiserror::Error)]
#[error("{cause}{}", left_behind(.pushed, .tag, .also))]
pub struct RebuildError {
    pub cause: Box<StopCause>,
    /// Manifests that were pushed by digest, without a tag.
    pub pushed: Vec<Pushed>,
    pub tag: TagState,
    /// The other tags that moved.
    pub also: Vec<Reference>,
}

/// The state of the tag when a rebuild ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagState {
    Untouched(String),
    Moved {
        tag: String,
        to: Option<Digest>,
    },
    /// The plan does not move a tag.
    None,
}

#[derive(Debug, thiserror::Error)]
pub enum StopCause {
    #[error("cannot run {program}: {cause}")]
    Start { program: String, cause: io::Error },
    #[error("interrupted")]
    Interrupted,
    #[error("building {platform} failed ({})", ended(.code))]
    Build { platform: Platform, code: Option<i32> },
    #[error("writing the layout of {platform} failed ({})", ended(.code))]
    Export { platform: Platform, code: Option<i32> },
    #[error("buildx did not report what it pushed for {platform}: {cause}")]
    Metadata { platform: Platform, cause: String },
    #[error("pushing {platform} failed: {cause}")]
    Push { platform: Platform, cause: String },
    #[error("the {platform} build has a fault, in {name}:\n  {}", .faults.join("\n  "))]
    Faulty { platform: Platform, name: String, faults: Vec<String> },
    #[error("{name} could not be verified: {cause}")]
    Unverified { name: String, cause: String },
    #[error("{tag} moved during the build: it was {} and is now {}", shown(.was), shown(.is))]
    TagMoved { tag: String, was: Option<Digest>, is: Option<Digest> },
    #[error("could not read {tag} again: {cause}")]
    TagUnreadable { tag: String, cause: String },
    #[error("writing the index of {tag} failed: {cause}")]
    Tag { tag: String, cause: String },
    #[error("{tag} points to {} after {put} was written to it", shown(.is))]
    TagWrong { tag: String, is: Option<Digest>, put: Digest },
    #[error("cannot create the layout: {0}")]
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

fn left_behind(pushed: &[Pushed], tag: &TagState, also: &[Reference]) -> String {
    let mut text = match tag {
        TagState::Untouched(tag) => format!("\n{tag} is unchanged"),
        TagState::Moved { tag, to } => format!("\n{tag} now points to {}", shown(to)),
        TagState::None => String::new(),
    };
    for tag in also {
        text += &format!("\n{tag} moved with it");
    }
    for one in pushed.iter().filter(|one| one.digest.is_some()) {
        text += &format!("\npushed without a tag: {} ({})", one.name, one.platform);
    }
    text
}

/// A run in progress.
struct RebuildRun<'a> {
    plan: &'a RebuildPlan,
    docker: &'a dyn Docker,
    backend: &'a dyn RebuildBackend,
    pushed: Vec<Pushed>,
    tag: TagState,
    also: Vec<Reference>,
}

/// Carries out `plan`, which must have something to build and no obstacles.
pub fn run(plan: &RebuildPlan, docker: &dyn Docker, backend: &dyn RebuildBackend) -> Result<Done, RebuildError> {
    let tag = match plan.delivery {
        Delivery::Local => TagState::None,
        _ => TagState::Untouched(plan.request.reference.to_string()),
    };
    let mut run = RebuildRun { plan, docker, backend, pushed: Vec::new(), tag, also: Vec::new() };
    match run.all() {
        Ok(after) => Ok(Done { before: plan.before.clone(), after, pushed: run.pushed, also: run.also }),
        // After an interrupt, other errors are its consequence.
        Err(_) if backend.is_interrupted() => {
            Err(RebuildError { cause: StopCause::Interrupted.into(), pushed: run.pushed, tag: run.tag, also: run.also })
        }
        Err(cause) => Err(RebuildError { cause, pushed: run.pushed, tag: run.tag, also: run.also }),
    }
}

impl RebuildRun<'_> {
    fn all(&mut self) -> Result<Option<Published>, Box<StopCause>> {
        for batch in self.plan.batches() {
            self.batch(&batch)?;
            self.check_interrupt()?;
        }
        if let Some(output) = &self.plan.request.build.output {
            self.join(output)?;
            return Ok(None);
        }
        self.move_tags().map(Some)
    }

    /// Joins the built platforms into one layout and scans it.
    fn join(&mut self, output: &Path) -> Result<(), Box<StopCause>> {
        let directories: Vec<PathBuf> =
            self.plan.build.iter().map(|build| layout_directory(&self.plan.request.build, &build.platform)).collect();
        let directories: Vec<&Path> = directories.iter().map(PathBuf::as_path).collect();
        self.backend.join_layouts(&directories, output).map_err(StopCause::Layout)?;
        let name = format!("oci:{}", output.display());
        for pushed in &mut self.pushed {
            pushed.name = name.clone();
        }
        self.pushed.iter().try_for_each(|pushed| self.verify(&pushed.platform, &name))
    }

    /// Builds platforms at the same time. Then verifies each of them, even if another one failed, because its manifest
    /// may be in the registry.
    fn batch(&mut self, builds: &[&PlannedBuild]) -> Result<(), Box<StopCause>> {
        let mut started: Vec<(&PlannedBuild, &BuildCommands)> = Vec::new();
        for build in builds {
            match &build.means {
                Means::Supplied(supply) => self.supply(supply)?,
                Means::Built { commands, .. } => started.push((build, commands)),
            }
        }
        for (build, commands) in &started {
            self.backend
                .report(&RunEvent::Building { platform: build.platform.clone(), command: commands.build.clone() });
            if self.plan.delivery != Delivery::ByDigest {
                // bake refuses to write to a directory that does not exist.
                let directory = layout_directory(&self.plan.request.build, &build.platform);
                let made = self.backend.make_directory(&directory);
                made.map_err(|cause| StopCause::File { path: directory.clone(), cause })?;
            }
        }
        let (docker, is_alone) = (self.docker, started.len() == 1);
        let ended: Vec<io::Result<Option<i32>>> = thread::scope(|scope| {
            let start = |(build, commands): &(&PlannedBuild, &BuildCommands)| {
                let line = commands.build.clone();
                let label = (!is_alone).then(|| build.platform.to_string());
                scope.spawn(move || docker.status(&line, label.as_deref()))
            };
            let threads: Vec<_> = started.iter().map(start).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| match thread.join() {
                Ok(ended) => ended,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            threads.into_iter().map(join).collect()
        });
        let mut failed = None;
        for ((build, commands), ended) in started.into_iter().zip(ended) {
            if let Err(cause) = self.finish(build, commands, ended) {
                failed.get_or_insert(cause);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Exports the result of a build, removes what the build left in the tool's storage, and delivers the image.
    fn finish(
        &mut self,
        build: &PlannedBuild,
        commands: &BuildCommands,
        ended: io::Result<Option<i32>>,
    ) -> Result<(), Box<StopCause>> {
        let exported = self.exported(build, commands, ended);
        if let Some(cleanup) = &commands.cleanup {
            // What is left only takes space.
            let _ = self.docker.output(cleanup, QUERY_LIMIT);
        }
        exported?;
        self.deliver(build, &commands.metadata)
    }

    fn exported(
        &self,
        build: &PlannedBuild,
        commands: &BuildCommands,
        ended: io::Result<Option<i32>>,
    ) -> Result<(), Box<StopCause>> {
        let platform = &build.platform;
        let code = ended.map_err(|cause| start_error(&commands.build, cause))?;
        if code != Some(0) {
            self.check_interrupt()?;
            return Err(StopCause::Build { platform: platform.clone(), code }.into());
        }
        let Some(export) = &commands.export else { return Ok(()) };
        self.check_interrupt()?;
        let code = self.docker.status(export, None).map_err(|cause| start_error(export, cause))?;
        if code == Some(0) { Ok(()) } else { Err(StopCause::Export { platform: platform.clone(), code }.into()) }
    }

    /// Verifies what was built and pushes it by digest.
    fn deliver(&mut self, build: &PlannedBuild, metadata: &Path) -> Result<(), Box<StopCause>> {
        let platform = &build.platform;
        let directory = layout_directory(&self.plan.request.build, platform);
        let local = format!("oci:{}", directory.display());
        if self.plan.delivery != Delivery::ByDigest {
            // Finds faults before anything is pushed.
            self.check_interrupt()?;
            self.verify(platform, &local)?;
            self.check_interrupt()?;
        }
        let digest = match self.plan.delivery {
            Delivery::Local | Delivery::Supplied => None,
            Delivery::ByDigest => Some(self.pushed_digest(platform, metadata)?),
            Delivery::ByLayout => {
                let push = self.backend.push_layout(&directory);
                Some(push.map_err(|cause| StopCause::Push { platform: platform.clone(), cause })?)
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

    /// Verifies an image that another tool built, before and after pushing it.
    fn supply(&mut self, supply: &Supply) -> Result<(), Box<StopCause>> {
        let Supply { platform, name, digest, descriptors, place } = supply;
        if *place == SupplyPlace::Here {
            self.verify(platform, name)?;
            self.check_interrupt()?;
            let push = self.backend.push_supply(supply);
            push.map_err(|cause| StopCause::Push { platform: platform.clone(), cause })?;
        }
        let (name, digest) = (self.plan.request.reference.at(digest), Some(digest.clone()));
        self.is_pushed(Pushed { platform: platform.clone(), name, digest, descriptors: descriptors.clone() })
    }

    /// Records a pushed platform and verifies it.
    fn is_pushed(&mut self, pushed: Pushed) -> Result<(), Box<StopCause>> {
        let Pushed { platform, name, digest, .. } = pushed.clone();
        self.pushed.push(pushed);
        if digest.is_some() {
            self.backend.report(&RunEvent::Pushed { platform: platform.clone(), name: name.clone() });
            self.check_interrupt()?;
            self.verify(&platform, &name)?;
        }
        self.backend.report(&RunEvent::Verified { platform, name });
        Ok(())
    }

    /// Fails if the user interrupted the run. Called between steps.
    fn check_interrupt(&self) -> Result<(), Box<StopCause>> {
        if self.backend.is_interrupted() { Err(StopCause::Interrupted.into()) } else { Ok(()) }
    }

    fn verify(&self, platform: &Platform, name: &str) -> Result<(), Box<StopCause>> {
        let unverified = |cause| StopCause::Unverified { name: name.to_string(), cause };
        let faults = self.backend.verify(name, Some(platform)).map_err(unverified)?;
        match faults.is_empty() {
            true => Ok(()),
            false => Err(StopCause::Faulty { platform: platform.clone(), name: name.to_string(), faults }.into()),
        }
    }

    /// Reads `containerimage.digest` from buildx's metadata. bake nests it under the target.
    fn pushed_digest(&self, platform: &Platform, metadata: &Path) -> Result<Digest, Box<StopCause>> {
        let refuse = |cause: String| StopCause::Metadata { platform: platform.clone(), cause };
        let bytes = self.backend.read(metadata).map_err(|error| refuse(format!("{}: {error}", metadata.display())))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        let nested = self.plan.request.build.bake.as_ref().map(|target| &value[&target.name]["containerimage.digest"]);
        let text = nested.unwrap_or(&value["containerimage.digest"]).as_str();
        let text = text.ok_or_else(|| refuse("its metadata has no containerimage.digest".to_string()))?;
        Ok(text.parse().map_err(|error: crate::oci::DigestError| refuse(error.to_string()))?)
    }

    /// Fails if this tag has moved since the plan was made.
    fn is_unmoved(&self, tag: &Reference) -> Result<(), Box<StopCause>> {
        let was = self.plan.before.as_ref().map(|before| before.digest.clone());
        let is = self.named_by(tag)?;
        // Another tag may be new.
        let is_new = is.is_none() && *tag != self.plan.request.reference;
        if is == was || is_new { Ok(()) } else { Err(StopCause::TagMoved { tag: tag.to_string(), was, is }.into()) }
    }

    fn named_by(&self, tag: &Reference) -> Result<Option<Digest>, Box<StopCause>> {
        let unreadable = |cause| StopCause::TagUnreadable { tag: tag.to_string(), cause };
        Ok(self.backend.tag(tag).map_err(unreadable)?)
    }

    /// Merges the kept and the new manifests, and writes the index to the tag and then to the other tags.
    fn move_tags(&mut self) -> Result<Published, Box<StopCause>> {
        let new = self.pushed.iter().flat_map(|pushed| &pushed.descriptors);
        let descriptors: Vec<String> = self.plan.staying.iter().chain(new).cloned().collect();
        let index = IndexText::compose(self.plan.before.as_ref(), &descriptors);
        let digest = Digest::from_bytes(&index.bytes);
        let request = &self.plan.request;
        self.is_unmoved(&request.reference)?;
        request.also.iter().try_for_each(|tag| self.is_unmoved(tag))?;
        self.move_tag(&request.reference, &index, &digest)?;
        let name = request.reference.at(&digest);
        let root = Descriptor::new(&index.media_type, digest.clone(), index.bytes.len() as u64);
        let unverified = |cause: String| StopCause::Unverified { name: name.clone(), cause };
        let mut after = Published::read(&root, &index.bytes, None).map_err(|error| unverified(error.to_string()))?;
        if let Some(before) = &self.plan.before {
            after.know_nested(before);
        }
        for pushed in &self.pushed {
            self.verify(&pushed.platform, &name)?;
        }
        for tag in &request.also {
            self.check_interrupt()?;
            self.is_unmoved(tag)?;
            self.move_tag(tag, &index, &digest)?;
            self.also.push(tag.clone());
        }
        Ok(after)
    }

    fn move_tag(&mut self, tag: &Reference, index: &IndexText, digest: &Digest) -> Result<(), Box<StopCause>> {
        self.backend.report(&RunEvent::Tagging { tag: tag.to_string(), digest: digest.clone() });
        let put = self.backend.put_index(tag, index);
        let is = self.named_by(tag);
        if *tag == self.plan.request.reference
            && let Ok(is) = &is
            && *is != self.plan.before.as_ref().map(|before| before.digest.clone())
        {
            self.tag = TagState::Moved { tag: tag.to_string(), to: is.clone() };
        }
        put.map_err(|cause| StopCause::Tag { tag: tag.to_string(), cause })?;
        let is = is?;
        if is.as_ref() != Some(digest) {
            return Err(StopCause::TagWrong { tag: tag.to_string(), is, put: digest.clone() }.into());
        }
        Ok(())
    }

    /// Returns the manifests that were pushed for one platform, as descriptors for the new index.
    fn descriptors_of(&self, pushed: &Pushed) -> Result<Vec<String>, Box<StopCause>> {
        let Some(digest) = &pushed.digest else { return Ok(Vec::new()) };
        let unverified = |cause: String| StopCause::Unverified { name: pushed.name.clone(), cause };
        let (root, bytes) = self.backend.document(digest).map_err(unverified)?;
        let published =
            Published::read(&root, &bytes, Some(&pushed.platform)).map_err(|error| unverified(error.to_string()))?;
        Ok(published.entries.into_iter().map(|entry| entry.raw).collect())
    }
}

fn start_error(command: &CommandLine, cause: io::Error) -> StopCause {
    StopCause::Start { program: command.0.first().cloned().unwrap_or_default(), cause }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
