//! What a module needs when its runtime loads it: libraries by name, and the symbol versions that they define. A
//! library counts as missing only if no file of this platform in the whole image has its name, because processes do not
//! only use the loader's search: they load libraries by path from other directories, or ahead of time.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::image::{NodeKind, RootFs};
use crate::inspect::FileKind;
use crate::judge::facts::programs::{Fit, JudgedProgram, Programs};
use crate::judge::facts::searched::SearchedDirectories;
use crate::judge::facts::tokens::Libc;

/// Limit on the objects of one module's closure.
const CLOSURE: usize = 512;

/// Libraries of GPU drivers: container runtimes mount them from the node.
const MOUNTED: &[&str] = &[
    "libcuda.so",
    "libnvidia-",
    "libnvcuvid.so",
    "libGLX_nvidia.so",
    "libEGL_nvidia.so",
    "libnvoptix.so",
    "libcudadebugger.so",
];

/// The libraries of this platform by name.
pub struct Libraries<'a> {
    rootfs: &'a RootFs<FileKind>,
    programs: &'a Programs<'a>,
    searched: SearchedDirectories,
    /// Indices into `programs.all` by file name, by soname and by the names of links.
    by_name: HashMap<String, Vec<usize>>,
}

/// Why a module cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No file of this platform has that name. `other`: the name of another version that the image has.
    Library { name: String, needed_by: String, other: Option<String> },
    /// The library is only in a directory that nothing searches.
    Unsearched { name: String, needed_by: String, path: String },
    /// Every library of that name lacks the version.
    Version { version: String, library: String, wanted_by: String, newest: Option<String> },
}

impl<'a> Libraries<'a> {
    pub fn from_rootfs(rootfs: &'a RootFs<FileKind>, programs: &'a Programs<'a>, env: &[String]) -> Libraries<'a> {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        let mut by_id = HashMap::new();
        for (index, program) in programs.all.iter().enumerate() {
            if !program.is_runnable() || program.fit > Fit::Compat {
                continue;
            }
            by_id.insert(program.id, index);
            let soname = program.elf.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref());
            by_name.entry(program.name().to_string()).or_default().push(index);
            if let Some(soname) = soname.filter(|soname| *soname != program.name()) {
                by_name.entry(soname.to_string()).or_default().push(index);
            }
        }
        let is_library = |name: &[u8]| name.windows(3).any(|part| part == b".so");
        for view in rootfs.matching(NodeKind::Symlink, is_library) {
            let name = String::from_utf8_lossy(view.name).into_owned();
            let index = rootfs.resolve(rootfs.path(view.id)).ok().and_then(|id| by_id.get(&id).copied());
            // Most libraries are already known by their soname.
            let own = by_name.entry(name).or_default();
            own.extend(index.filter(|index| !own.contains(index)));
        }
        Libraries { rootfs, programs, searched: SearchedDirectories::from_rootfs(rootfs, programs, env), by_name }
    }

    /// The first library or version in `program`'s closure that is missing. `None`: nothing is missing, or a dynamic
    /// section was only read in part.
    pub fn lack(&self, program: &JudgedProgram<'_>) -> Option<Lack> {
        let mut seen = BTreeSet::new();
        let mut objects = vec![program];
        while let Some(object) = objects.pop() {
            let Some(dynamic) = &object.elf.dynamic else { continue };
            if dynamic.is_partial {
                return None;
            }
            for name in &dynamic.needed {
                let own = self.own(name, object);
                if own.is_empty() && !is_mounted(name) && !self.is_musl_itself(name) {
                    let other = self.other_version(name);
                    return Some(Lack::Library { name: name.clone(), needed_by: object.path.clone(), other });
                }
                let may_find = |index: &usize| {
                    let library = &self.programs.all[*index];
                    [program, object].iter().any(|by| self.searched.may_find(self.rootfs, library, by))
                };
                if let Some(first) = own.first().filter(|_| !own.iter().any(may_find)) {
                    let path = self.programs.all[*first].path.clone();
                    return Some(Lack::Unsearched { name: name.clone(), needed_by: object.path.clone(), path });
                }
                // One of several libraries of that name represents all.
                let index = own.first().copied().filter(|index| seen.len() < CLOSURE && seen.insert(*index));
                objects.extend(index.map(|index| &self.programs.all[index]));
            }
            if let Some(lack) = self.version(object) {
                return Some(lack);
            }
        }
        None
    }

    /// `program` and the libraries that it loads, the first of each name, if the image has them.
    pub fn closure<'p>(&'p self, program: &'p JudgedProgram<'p>) -> Vec<&'p JudgedProgram<'p>> {
        let (mut seen, mut objects, mut at) = (BTreeSet::new(), vec![program], 0);
        while let Some(object) = objects.get(at).copied() {
            at += 1;
            let needed = object.elf.dynamic.iter().flat_map(|dynamic| &dynamic.needed);
            for index in needed.filter_map(|name| self.own(name, object).first().copied()) {
                if seen.len() < CLOSURE && seen.insert(index) {
                    objects.push(&self.programs.all[index]);
                }
            }
        }
        objects
    }

    /// The object of `program`'s closure that needs the library `name`, itself first.
    pub fn needing<'p>(&'p self, program: &'p JudgedProgram<'p>, name: &str) -> Option<&'p JudgedProgram<'p>> {
        let mut seen = BTreeSet::new();
        let mut objects = VecDeque::from([program]);
        while let Some(object) = objects.pop_front() {
            let Some(dynamic) = &object.elf.dynamic else { continue };
            if dynamic.needed.iter().any(|needed| needed == name) {
                return Some(object);
            }
            for index in dynamic.needed.iter().filter_map(|needed| self.own(needed, object).first().copied()) {
                if seen.len() < CLOSURE && seen.insert(index) {
                    objects.push_back(&self.programs.all[index]);
                }
            }
        }
        None
    }

    /// Libraries of that name for the object's architecture: files of that name or soname, and the targets of links of
    /// that name.
    fn own(&self, name: &str, object: &JudgedProgram<'_>) -> Vec<usize> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let is_own = |index: &usize| self.programs.all[*index].elf.arch() == object.elf.arch();
        self.by_name.get(name).into_iter().flatten().copied().filter(is_own).collect()
    }

    /// Another version of the library `name` that this platform has: `libssl.so.3` for `libssl.so.1.1`.
    fn other_version(&self, name: &str) -> Option<String> {
        let (stem, version) = name.split_once(".so.")?;
        let is_other = |own: &&String| {
            own.split_once(".so.")
                .is_some_and(|(other, number)| other == stem && !number.is_empty() && number != version)
        };
        self.by_name.iter().filter(|(_, files)| !files.is_empty()).map(|(own, _)| own).filter(is_other).min().cloned()
    }

    /// musl is its own libc, libpthread, librt, libm, libdl, libutil and libxnet.
    /// Source: ldso/dynlink.c `load_library`.
    fn is_musl_itself(&self, name: &str) -> bool {
        const RESERVED: [&str; 7] = ["c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."];
        let is_reserved = name.strip_prefix("lib").is_some_and(|rest| RESERVED.iter().any(|own| rest.starts_with(own)));
        is_reserved && self.programs.libcs.contains(&Libc::Musl)
    }

    fn version(&self, object: &JudgedProgram<'_>) -> Option<Lack> {
        let dynamic = object.elf.dynamic.as_ref()?;
        for (library, versions) in &dynamic.wants {
            let providers: Vec<&JudgedProgram<'_>> =
                self.own(library, object).into_iter().map(|index| &self.programs.all[index]).collect();
            let offers: BTreeMap<&str, &Vec<String>> = providers
                .iter()
                .filter_map(|provider| {
                    let dynamic = provider.elf.dynamic.as_ref().filter(|dynamic| !dynamic.is_partial)?;
                    Some((provider.path.as_str(), dynamic.offers.as_ref().filter(|offers| !offers.is_empty())?))
                })
                .collect();
            // A library without versions satisfies every version.
            if providers.is_empty() || offers.len() < providers.len() {
                continue;
            }
            let lacks =
                |version: &&(String, bool)| !version.1 && !offers.values().any(|offers| offers.contains(&version.0));
            if let Some((version, _)) = versions.iter().find(lacks) {
                let newest =
                    offers.values().filter_map(|offers| newest(offers, version)).max_by_key(|version| rank(version));
                return Some(Lack::Version {
                    version: version.clone(),
                    library: providers[0].path.clone(),
                    wanted_by: object.path.clone(),
                    newest,
                });
            }
        }
        None
    }
}

fn is_mounted(name: &str) -> bool {
    MOUNTED.iter().any(|start| name.starts_with(start))
}

/// The highest version in the series (`GLIBC_`, `GLIBCXX_`) of the wanted one.
fn newest(offers: &[String], wanted: &str) -> Option<String> {
    let (series, _) = wanted.rsplit_once('_')?;
    let own = offers.iter().filter(|version| version.rsplit_once('_').is_some_and(|(own, _)| own == series));
    own.filter(|version| !rank(version).is_empty()).max_by_key(|version| rank(version)).cloned()
}

/// `GLIBC_2.34` as 2, 34; empty where it is not a number.
fn rank(version: &str) -> Vec<u32> {
    let parts = version.rsplit_once('_').map_or(version, |(_, number)| number).split('.');
    parts.map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>().unwrap_or_default()
}
