//! Turns the uses of images by pods, workloads and manifests into tasks that judge each on the nodes where it may run.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rayon::prelude::*;

use super::schedule::Narrowing;
use super::{Nodes, Use};
use crate::oci::{Digest, Reference};
use crate::platform::{Platform, Target};
use crate::scan::{CallOverride, OPENED_AT_ONCE, Options, Task};
use crate::source::input::{Input, Opened, Opener};

/// How many users of an image are named. The others are counted.
const SHOWN_USERS: usize = 3;

/// A use with the task that judges it.
pub struct UseTask {
    /// Its index among the images of a run.
    pub at: usize,
    pub used: Use,
    pub task: Task,
}

/// Tasks for the uses, in their order. Each use comes with its index among the images of a run. `base` contains the
/// common options: platforms, rules, limits. Images are opened, so that names of the same digest are judged once.
pub fn use_tasks(opener: &Opener, uses: Vec<(usize, Use)>, nodes: &Nodes, base: &Options) -> Vec<UseTask> {
    let task = |(at, used, opened): (usize, Use, Option<Opened>)| {
        let groups = used.groups.iter().filter_map(|index| nodes.groups.get(*index));
        let on_nodes = groups.map(|group| Target { name: nodes.title(group), ..group.target.clone() });
        let mut options = narrowed(&used.narrowing, Options { call: used.call.clone(), ..base.clone() });
        options.targets.extend(on_nodes);
        let note = Some(format!("used by {}", users(&used)));
        // An image that was opened to learn its digest is not requested again.
        UseTask { at, task: Task { image: used.image.clone(), options, opened, note }, used }
    };
    resolved(uses, opener, base.jobs).into_iter().map(task).collect()
}

/// The options for a use with its own constraints. It must run on each platform that it names, so each is a target, and
/// an index that lacks one of them fails.
fn narrowed(narrowing: &Narrowing, options: Options) -> Options {
    let is_of =
        |target: &Target, platform: &Platform| target.platform.is_wanted_as(platform) || target.platform == *platform;
    match narrowing {
        Narrowing::None => options,
        Narrowing::Except(except) => {
            let mut targets = options.targets.clone();
            targets.retain(|target| !except.iter().any(|platform| is_of(target, platform)));
            Options { targets, except: except.clone(), ..options }
        }
        Narrowing::Only(only) => {
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
/// cannot be opened stays as it is, and the scan reports why.
fn resolved(uses: Vec<(usize, Use)>, opener: &Opener, jobs: usize) -> Vec<(usize, Use, Option<Opened>)> {
    let digest = |opened: &Opened| match &opened.input {
        Input::Image(source) => source.root().ok().map(|root| root.digest),
        Input::Stream(_) | Input::Directory(_) | Input::File { .. } => None,
    };
    let open = |(_, one): &(usize, Use)| opener.open(&one.image).ok().map(|opened| (digest(&opened), opened));
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(jobs.max(OPENED_AT_ONCE)).build().expect("threads can be started");
    let opened: Vec<_> = pool.install(|| uses.par_iter().map(open).collect());
    let mut kept: Vec<(usize, Use, Option<Opened>)> = Vec::new();
    let mut at: BTreeMap<(Digest, CallOverride, Narrowing), usize> = BTreeMap::new();
    for ((place, one), opened) in uses.into_iter().zip(opened) {
        let (digest, opened) = opened.map_or((None, None), |(digest, opened)| (digest, Some(opened)));
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
    kept
}

fn is_pinned(image: &str) -> bool {
    Reference::parse(image).is_ok_and(|reference| reference.digest.is_some())
}

fn users(one: &Use) -> String {
    let named = one.used_by.iter().take(SHOWN_USERS).cloned().collect::<Vec<_>>().join("; ");
    match one.used_by.len().saturating_sub(SHOWN_USERS) {
        0 => named,
        1 => format!("{named}; and 1 other"),
        more => format!("{named}; and {more} others"),
    }
}
