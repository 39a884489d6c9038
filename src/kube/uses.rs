//! Turns the uses of images by pods, workloads and manifests into tasks that judge each on the nodes where it may run.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rayon::prelude::*;

use super::schedule::PodNarrowing;
use super::{ImageUse, Nodes};
use crate::oci::{Digest, Reference};
use crate::platform::{Platform, Target};
use crate::scan::call::Purpose;
use crate::scan::{CallOverride, OPENED_AT_ONCE, Options, ScanTask};
use crate::source::input::{ImageOpener, Opened, OpenedInput};

/// How many users of an image are named. The others are counted.
const SHOWN_USERS: usize = 3;

/// A use with the task that judges it.
pub struct UseTask {
    /// Its index among the images of a run.
    pub at: usize,
    pub used: ImageUse,
    pub task: ScanTask,
}

/// Tasks for the uses, in their order. Each use comes with its index among the images of a run. `base` contains the
/// common options: platforms, rules, limits. Images are opened, so that names of the same digest are judged once. Also
/// returns notes about images that are only mentioned and cannot be opened: they are left out.
pub fn use_tasks(
    opener: &ImageOpener,
    uses: Vec<(usize, ImageUse)>,
    nodes: &Nodes,
    base: &Options,
) -> (Vec<UseTask>, Vec<String>) {
    let task = |(at, used, opened): (usize, ImageUse, Option<Opened>)| {
        let groups = used.groups.iter().filter_map(|index| nodes.groups.get(*index));
        let on_nodes = groups.map(|group| Target { name: nodes.title(group), ..group.target.clone() });
        let mut options = narrowed(&used.narrowing, Options { call: used.call.clone(), ..base.clone() });
        options.targets.extend(on_nodes);
        let note = Some(format!("used by {}", users(&used)));
        // An image that was opened to learn its digest is not requested again.
        UseTask { at, task: ScanTask { image: used.image.clone(), options, opened, note }, used }
    };
    let (kept, notes) = resolved(uses, opener, base.jobs);
    (kept.into_iter().map(task).collect(), notes)
}

/// Uses in the order of the run, with their opened images.
type OpenedUses = Vec<(usize, ImageUse, Option<Opened>)>;

/// The options for a use with its own constraints. It must run on each platform that it names, so each is a target, and
/// an index that lacks one of them fails.
fn narrowed(narrowing: &PodNarrowing, options: Options) -> Options {
    let is_of =
        |target: &Target, platform: &Platform| target.platform.is_wanted_as(platform) || target.platform == *platform;
    match narrowing {
        PodNarrowing::None => options,
        PodNarrowing::Except(except) => {
            let mut targets = options.targets.clone();
            targets.retain(|target| !except.iter().any(|platform| is_of(target, platform)));
            Options { targets, except: except.clone(), ..options }
        }
        PodNarrowing::Only(only) => {
            let is_asked = |platform: &&Platform| {
                let own = &options.platforms;
                own.is_empty() || own.iter().any(|wanted| platform.is_wanted_as(wanted))
            };
            let only: Vec<Platform> = only.iter().filter(is_asked).cloned().collect();
            if only.is_empty() {
                return options;
            }
            let mut targets = options.targets.clone();
            targets.retain(|target| only.iter().any(|platform| is_of(target, platform)));
            if targets.is_empty() {
                targets = only.iter().filter_map(Target::of_platform).collect();
            }
            // Only Linux nodes are judged. For other systems, the images are only selected.
            let platforms = if targets.is_empty() { only } else { Vec::new() };
            Options { targets, platforms, ..options }
        }
    }
}

/// Merges uses with the same digest and start, such as a tag and the digest that a node reports for it. An image that
/// cannot be opened stays as it is, and the scan reports why, unless it is only mentioned.
fn resolved(uses: Vec<(usize, ImageUse)>, opener: &ImageOpener, jobs: usize) -> (OpenedUses, Vec<String>) {
    let digest = |opened: &Opened| match &opened.input {
        OpenedInput::Image(source) => source.root().map(|root| Some(root.digest)),
        OpenedInput::Stream(_) | OpenedInput::Directory(_) | OpenedInput::File { .. } => Ok(None),
    };
    let open = |(_, one): &(usize, ImageUse)| {
        let opened = opener.open(&one.image).map_err(|error| error.to_string())?;
        match digest(&opened) {
            Ok(digest) => Ok((digest, opened)),
            Err(error) if one.call.purpose == Purpose::Mentioned => Err(error.to_string()),
            Err(_) => Ok((None, opened)),
        }
    };
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(jobs.max(OPENED_AT_ONCE)).build().expect("threads can be started");
    let opened: Vec<Result<(Option<Digest>, Opened), String>> = pool.install(|| uses.par_iter().map(open).collect());
    let (mut kept, mut notes) = (OpenedUses::new(), Vec::new());
    let mut at: BTreeMap<(Digest, CallOverride, PodNarrowing), usize> = BTreeMap::new();
    for ((place, one), opened) in uses.into_iter().zip(opened) {
        let (digest, opened) = match opened {
            Ok((digest, opened)) => (digest, Some(opened)),
            Err(error) if one.call.purpose == Purpose::Mentioned => {
                notes.push(format!("{} is not judged, because it cannot be read: {error}", users(&one)));
                continue;
            }
            Err(_) => (None, None),
        };
        let same = digest.and_then(|digest| match at.entry((digest, one.call.clone(), one.narrowing.clone())) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(new) => {
                new.insert(kept.len());
                None
            }
        });
        match same.map(|same| &mut kept[same]) {
            Some((_, known, known_opened)) => {
                // Prefer the tag, which is more readable. The report also contains the digest.
                if is_pinned(&known.image) && !is_pinned(&one.image) {
                    known.image = one.image.clone();
                    *known_opened = opened;
                }
                known.join(one);
            }
            None => kept.push((place, one, opened)),
        }
    }
    (kept, notes)
}

fn is_pinned(image: &str) -> bool {
    Reference::parse(image).is_ok_and(|reference| reference.digest.is_some())
}

fn users(one: &ImageUse) -> String {
    let named = one.used_by.iter().take(SHOWN_USERS).cloned().collect::<Vec<_>>().join("; ");
    match one.used_by.len().saturating_sub(SHOWN_USERS) {
        0 => named,
        1 => format!("{named}; and 1 other"),
        more => format!("{named}; and {more} others"),
    }
}
