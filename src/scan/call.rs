//! How a container starts its image: the image's own config, changed by flags, a pod's spec or a Compose service.
//! Pure.

use std::sync::Arc;

use crate::exec::{Exec, RootRefusal, UNKNOWN_TEXT};
use crate::image::{Contents, EntryKind, LayerMember, ResolveError, RootFs};
use crate::oci::RunConfig;
use crate::platform::{CapabilityChange, Fact, Node, Target};

/// Overrides of an image's own start, with the semantics of Kubernetes' `command` and `args`: an entrypoint also drops
/// the image's CMD. Source: Kubernetes, "Define a Command and Arguments for a Container".
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallOverride {
    pub entrypoint: Option<Vec<String>>,
    pub args: Option<Vec<String>>,
    /// Variables that override the image's own; `None`: set to an unknown value.
    pub env: Vec<(String, Option<String>)>,
    pub working_dir: Option<String>,
    /// A number, or a name in the image's /etc/passwd.
    pub user: Option<String>,
    pub group: Option<String>,
    /// Groups in addition to the user's own.
    pub groups: Vec<u32>,
    /// The kubelet refuses to start it as a user that is root or may be root.
    pub non_root: bool,
    pub capabilities: CapabilityChange,
    pub sandbox: Sandbox,
    /// Mount points of volumes, whose unknown content hides the image's.
    pub mounts: Vec<String>,
    pub stated_by: StatedBy,
    pub purpose: Purpose,
    /// A file to describe, by its path, or by its name if one file has that name.
    pub named: Option<String>,
}

/// Where the program is configured, for messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatedBy {
    #[default]
    Flags,
    /// A pod's spec: `command` and `args`.
    Pod,
    /// A Compose service: `entrypoint` and `command`.
    Compose,
}

/// What an image is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    #[default]
    Started,
    /// A volume or a disk: nothing in it is started, and it may contain only data.
    Mounted,
    /// A program gets the image's name in a variable or an option, and may start it with another command.
    Mentioned,
}

/// The layer between a container and the node's kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sandbox {
    #[default]
    None,
    /// gVisor: a separate kernel that only runs 64-bit programs and has no binfmt_misc.
    /// Source: gVisor's pkg/sentry/loader/elf.go `parseHeader`.
    Gvisor,
    /// A virtual machine (Kata Containers): a separate kernel on the node's CPU.
    Machine,
    /// The image's program is a WebAssembly module.
    Wasm,
}

/// A call, and the setting that names it: `ENTRYPOINT ["app"]`.
pub struct NamedCall {
    pub call: Exec,
    pub said_by: String,
}

impl CallOverride {
    /// Joins Entrypoint and Cmd as a runtime does, with the overrides.
    pub fn start(&self, run: &RunConfig) -> NamedCall {
        let working_dir = self.working_dir.as_ref().unwrap_or(&run.working_dir);
        let working_dir = if working_dir.is_empty() { "/".to_string() } else { working_dir.clone() };
        let (argv, said_by) = match self.purpose {
            Purpose::Mounted => (Vec::new(), String::new()),
            Purpose::Started | Purpose::Mentioned => self.words(run),
        };
        let call = Exec {
            argv,
            env: self.environment(&run.env),
            working_dir,
            user: self.user(&run.user),
            groups: self.groups.clone(),
            refused: self.root_refusal(&run.user),
        };
        NamedCall { call, said_by }
    }

    fn words(&self, run: &RunConfig) -> (Vec<String>, String) {
        let mut argv = self.entrypoint.clone().unwrap_or_else(|| run.entrypoint.clone());
        let args = match (&self.args, &self.entrypoint) {
            (Some(args), _) => args.clone(),
            (None, Some(_)) => Vec::new(),
            (None, None) => run.cmd.clone(),
        };
        let words = |name: &str, words: &[String]| {
            format!("{name} {}", serde_json::to_string(words).unwrap_or_default().replace(UNKNOWN_TEXT, "?"))
        };
        let (entrypoint_word, args_word) = match self.stated_by {
            StatedBy::Flags => ("--entrypoint", "--arg"),
            StatedBy::Pod => ("command", "args"),
            StatedBy::Compose => ("entrypoint", "command"),
        };
        let said_by = match (&self.entrypoint, argv.is_empty(), &self.args) {
            (Some(entrypoint), false, _) => words(entrypoint_word, entrypoint),
            (None, false, _) => words("ENTRYPOINT", &argv),
            (_, true, Some(_)) => words(args_word, &args),
            (_, true, None) => words("CMD", &args),
        };
        argv.extend(args);
        (argv, said_by)
    }

    /// Why the program is unknown: a variable with an unknown value names it.
    pub fn unknown_program(&self) -> Option<String> {
        let first = self.entrypoint.iter().chain(&self.args).flatten().next()?;
        let is_unknown = first.contains(UNKNOWN_TEXT);
        is_unknown.then(|| format!("the program name {:?} contains an unknown value", first.replace(UNKNOWN_TEXT, "?")))
    }

    /// The image's variables with those of the call. Lookups need the values of PATH and the loader's variables, so the
    /// image's own values stay if the call's are unknown.
    fn environment(&self, own: &[String]) -> Vec<String> {
        let is_of = |line: &str, name: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        let mut env = own.to_vec();
        for (name, value) in &self.env {
            let value = match value {
                Some(value) => value.clone(),
                None if name == "PATH" || name.starts_with("LD_") => continue,
                None => UNKNOWN_TEXT.to_string(),
            };
            env.retain(|line| !is_of(line, name));
            env.push(format!("{name}={value}"));
        }
        env
    }

    /// A given user drops the image's group; a given group keeps the image's user.
    fn user(&self, own: &str) -> String {
        match (&self.user, &self.group) {
            (Some(user), Some(group)) => format!("{user}:{group}"),
            (Some(user), None) => user.clone(),
            (None, Some(group)) => format!("{}:{group}", own.split(':').next().unwrap_or_default()),
            (None, None) => own.to_string(),
        }
    }

    /// The kubelet's check of the user before it creates the container: it only reads numbers, and no user means root.
    fn root_refusal(&self, own: &str) -> Option<RootRefusal> {
        let is_root = |user: &str| user.parse::<i64>().map(|uid| uid == 0);
        let own = own.split(':').next().unwrap_or_default();
        match self.user.as_deref().filter(|_| self.non_root) {
            Some(user) => (is_root(user) == Ok(true)).then_some(RootRefusal::PodIsRoot),
            None if !self.non_root => None,
            None if own.is_empty() => Some(RootRefusal::ImageIsRoot),
            None => match is_root(own) {
                Ok(true) => Some(RootRefusal::ImageIsRoot),
                Ok(false) => None,
                Err(_) => Some(RootRefusal::ImageNamesUser(own.to_string())),
            },
        }
    }

    /// The target as the container sees it: its capabilities, and the kernel of its sandbox.
    pub fn on(&self, target: &Target) -> Target {
        let mut node = Node { bounding: self.capabilities.apply(target.node.bounding), ..target.node.clone() };
        match self.sandbox {
            Sandbox::None | Sandbox::Wasm => {}
            Sandbox::Gvisor => {
                (node.handlers, node.emulates) = (Vec::new(), Vec::new());
                (node.ia32, node.x32, node.aarch32) = (Fact::Known(false), Fact::Known(false), Fact::Known(false));
            }
            Sandbox::Machine => {
                (node.handlers, node.emulates) = (Vec::new(), Vec::new());
                node.kernel = Fact::Unknown;
            }
        }
        Target { node, ..target.clone() }
    }

    /// Hides the image's content at the mount points of volumes.
    pub fn mount<T>(&self, rootfs: &mut RootFs<T>) {
        let paths: Vec<Vec<u8>> = self.mounts.iter().map(|path| followed(rootfs, path)).collect();
        let paths: Vec<&[u8]> = paths.iter().map(Vec::as_slice).filter(|path| !path.is_empty()).collect();
        if paths.is_empty() {
            return;
        }
        let mut contents = Contents::default();
        for path in &paths {
            contents.push(&LayerMember::plain(path, EntryKind::Opaque, 0), None);
            contents.push(&LayerMember::plain(path, EntryKind::Directory, 0o755), None);
        }
        rootfs.apply(Arc::new(contents));
        for path in paths {
            rootfs.leave_unread(path);
        }
    }
}

/// Creates the directories of the image's volumes that it lacks, as engines do when they start a container.
pub fn create_volumes<T>(rootfs: &mut RootFs<T>, run: &RunConfig) {
    let is_absent = |path: &&String| {
        path.starts_with('/') && matches!(rootfs.resolve(path.as_str()), Err(ResolveError::Missing(_)))
    };
    let paths: Vec<Vec<u8>> = run.volumes.keys().filter(is_absent).map(|path| followed(rootfs, path)).collect();
    if paths.is_empty() {
        return;
    }
    let mut contents = Contents::default();
    for path in &paths {
        contents.push(&LayerMember::plain(path, EntryKind::Directory, 0o755), None);
    }
    rootfs.apply(Arc::new(contents));
}

/// A mount point relative to the root, with links followed as in runtimes, without slashes at either end.
fn followed<T>(rootfs: &RootFs<T>, path: &str) -> Vec<u8> {
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    for known in (1..=names.len()).rev() {
        if let Ok(id) = rootfs.resolve(format!("/{}", names[..known].join("/"))) {
            let mut path = rootfs.path(id);
            for name in &names[known..] {
                path.push(b'/');
                path.extend_from_slice(name.as_bytes());
            }
            return path.strip_prefix(b"/").unwrap_or(&path).to_vec();
        }
    }
    names.join("/").into_bytes()
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
