//! Files next to a file: builds for other platforms, a package's own build, a package that works without its native
//! part. Recognised by paths that differ only in platform words, never by product names.

use std::collections::BTreeSet;

use crate::image::{NodeKind, RootFs};
use crate::inspect::FileKind;
use crate::judge::facts::libraries::Libraries;
use crate::judge::facts::programs::{Fit, JudgedProgram, Programs};
use crate::judge::facts::tokens::{self, Libc, is_kin};
use crate::platform::Arch;

/// Files that serve this image's platform.
pub struct Siblings {
    pub here: Arch,
    /// Families of the files that this platform can use.
    served: BTreeSet<String>,
    /// Families of the files for this architecture, also those for another C library, which have their own findings.
    near: BTreeSet<String>,
    /// Package directories with their own build, made where they were installed.
    built: BTreeSet<String>,
    /// Package directories that work without their native part.
    optional: BTreeSet<String>,
    /// Contents of tool caches for this platform, without platform words and versions.
    caches: BTreeSet<String>,
    /// Directories that contain this platform's build of one of Prisma's engines, with the engine's name.
    engines: BTreeSet<String>,
    /// Directories of npm packages that are for other systems than Linux.
    elsewhere: BTreeSet<String>,
    /// Modules of Python that their package imports only if they can be loaded, by path without a suffix.
    alternatives: BTreeSet<String>,
    /// Launchers of .NET applications that `dotnet` starts without them.
    launchers: BTreeSet<String>,
}

impl Siblings {
    pub fn from_rootfs(
        rootfs: &RootFs<FileKind>,
        programs: &Programs<'_>,
        libraries: &Libraries<'_>,
        here: Arch,
    ) -> Siblings {
        let mut siblings = Siblings {
            here,
            served: BTreeSet::new(),
            near: BTreeSet::new(),
            built: BTreeSet::new(),
            optional: BTreeSet::new(),
            caches: BTreeSet::new(),
            engines: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            alternatives: BTreeSet::new(),
            launchers: BTreeSet::new(),
        };
        let mut directory = "";
        for program in programs.runnable().filter(|program| program.fit <= Fit::Compat) {
            if let Some(package) = package_directory(&program.path).filter(|package| is_build(&program.path, package)) {
                siblings.built.insert(package.to_string());
            }
            siblings.caches.extend(cache(&program.path));
            let is_loadable = || fits_libc(program, &programs.libcs) && libraries.lack(program).is_none();
            siblings.engines.extend(engine(&program.path).filter(|_| is_loadable()));
            let Some(platform) = &program.platform else { continue };
            // A file whose path misstates its platform serves no platform.
            let is_true = platform.arch.is_none_or(|arch| is_kin(Some(arch), program.elf.arch()));
            if is_true && platform.may_be_linux && program.fit == Fit::Native && program.path.ends_with(".node") {
                siblings.near.insert(platform.key.clone());
                siblings.near.extend(tokens::directory_families(&program.path));
            }
            if is_true && platform.may_be_linux && fits_libc(program, &programs.libcs) {
                siblings.served.insert(platform.key.clone());
                // Files of one directory are adjacent.
                let own = program.path.rsplit_once('/').map_or("", |(directory, _)| directory);
                if std::mem::replace(&mut directory, own) != own {
                    siblings.served.extend(tokens::directory_families(&program.path));
                }
            }
        }
        siblings.read_packages(rootfs);
        siblings
    }

    /// Reads packages that declare that they run anywhere, although they have native parts for some platforms: wheels
    /// whose tags all end in `-any`, and npm packages with a `fallback.js` next to `prebuilds/`, which they load if no
    /// prebuilt part fits. `package.json` has no field for this, so the file's name is the only sign. Also reads
    /// packages that declare that they are not for Linux.
    fn read_packages(&mut self, rootfs: &RootFs<FileKind>) {
        let shown = |id| String::from_utf8_lossy(&rootfs.path(id)).into_owned();
        let is_file = |path: String| rootfs.resolve(path).is_ok();
        for view in rootfs.files_with_facts() {
            match view.fact {
                Some(FileKind::Wheel(tags)) if !tags.is_empty() && tags.iter().all(|tag| tag.ends_with("-any")) => {
                    let path = shown(view.id);
                    let info = path.strip_suffix("/WHEEL").and_then(|info| info.rsplit_once('/'));
                    let name = info.and_then(|(place, name)| Some((place, name.split('-').next()?)));
                    self.optional.extend(name.map(|(place, name)| format!("{place}/{name}")));
                }
                Some(FileKind::NpmPackage(package)) => {
                    let path = shown(view.id);
                    let directory = path.strip_suffix("/package.json").map(String::from);
                    if is_elsewhere(&package.os) {
                        self.elsewhere.extend(directory);
                    } else if directory.as_ref().is_some_and(|path| ON_REQUEST.iter().any(|end| path.ends_with(end))) {
                        self.optional.extend(directory);
                    }
                }
                Some(FileKind::OptionalImports(modules)) => {
                    let (packages, modules): (Vec<_>, Vec<_>) =
                        modules.iter().cloned().partition(|path| path.contains("/node_modules/"));
                    self.optional.extend(packages);
                    self.alternatives.extend(modules);
                }
                // An SDK builds `App` for its own machine; `App.dll` next to it is what `dotnet` starts on any machine.
                Some(FileKind::Pe(pe)) if pe.is_dotnet => {
                    let path = shown(view.id);
                    let launcher =
                        path.strip_suffix(".dll").filter(|path| is_file(format!("{path}.runtimeconfig.json")));
                    self.launchers.extend(launcher.map(String::from));
                }
                _ => {}
            }
        }
        for view in rootfs.named(b"fallback.js").filter(|view| view.kind == NodeKind::File) {
            let path = shown(view.id);
            let has_prebuilds = |directory: &&str| rootfs.resolve(format!("{directory}/prebuilds")).is_ok();
            let directory = path.strip_suffix("/fallback.js").filter(|dir| dir.contains("/node_modules/"));
            self.optional.extend(directory.filter(has_prebuilds).map(String::from));
        }
    }

    /// Whether a file of that path, its directory or its package also exists for the image's platform.
    pub fn serve(&self, path: &str) -> bool {
        tokens::families(path).iter().any(|family| self.served.contains(family))
    }

    /// Whether an addon of Node.js, its directory or its package also exists for the image's architecture.
    pub fn has_near(&self, path: &str) -> bool {
        path.ends_with(".node") && tokens::families(path).iter().any(|family| self.near.contains(family))
    }

    /// Whether a file is the launcher of a .NET application that `dotnet` starts without it.
    pub fn is_launcher(&self, path: &str) -> bool {
        self.launchers.contains(path)
    }

    /// Whether the tool cache that contains a file also has the same, or another version of it, for this platform.
    pub fn has_cached(&self, path: &str) -> bool {
        cache(path).is_some_and(|cache| self.caches.contains(&cache))
    }

    /// Whether a file is one of Prisma's engines and the build for this platform is next to it. Prisma's names for
    /// amd64 platforms have no architecture: `debian-openssl-3.0.x`. Source: Prisma's binaryTargets.
    pub fn has_engine(&self, path: &str) -> bool {
        engine(path).is_some_and(|engine| self.engines.contains(&engine))
    }

    /// Whether its package has its own build, which node-gyp-build and bindings prefer to prebuilt ones.
    pub fn has_own_build(&self, path: &str) -> bool {
        package_directory(path).is_some_and(|package| self.built.contains(package) && !is_build(path, package))
    }

    /// Whether its package declares that it is for systems other than Linux.
    pub fn is_elsewhere(&self, path: &str) -> bool {
        npm_package(path).is_some_and(|(_, end)| self.elsewhere.contains(&path[..end]))
    }

    /// Whether a module of Python has an alternative in its own package, which is imported in its place.
    pub fn has_alternative(&self, path: &str) -> bool {
        let Some((directory, name)) = path.rsplit_once('/') else { return false };
        let stem = format!("{directory}/{}", name.split('.').next().unwrap_or(name));
        self.alternatives.contains(&stem) || INDIRECT.iter().any(|part| stem.contains(part))
    }

    /// Whether its package works without it.
    pub fn is_optional(&self, path: &str) -> bool {
        package_directory(path).is_some_and(|package| self.optional.contains(package))
    }
}

/// Modules of Python that are imported in a function or file that is only used if it works. Source: PyYAML's
/// yaml/__init__.py and yaml/cyaml.py; SQLAlchemy's sqlalchemy/util/_has_cy.py.
const INDIRECT: &[&str] = &["/yaml/_yaml", "/sqlalchemy/cyextension/"];

/// Packages that load their native part only if the application asks for it. Source: node-oracledb's documentation, "Thin
/// and Thick mode".
const ON_REQUEST: &[&str] = &["/node_modules/oracledb"];

/// Whether a file's C library is one of the image's; an image without a loader accepts any.
pub fn fits_libc(program: &JudgedProgram<'_>, libcs: &[Libc]) -> bool {
    libcs.is_empty() || program.libc().is_none_or(|libc| libcs.contains(&libc))
}

/// The npm package of a path and where its directory ends: `@esbuild/linux-x64`.
pub fn npm_package(path: &str) -> Option<(&str, usize)> {
    let start = path.rfind("/node_modules/")? + "/node_modules/".len();
    let depth = if path[start..].starts_with('@') { 2 } else { 1 };
    let end = path[start..].match_indices('/').nth(depth - 1).map(|(end, _)| start + end)?;
    Some((&path[start..end], end))
}

/// The directory of a path's Python packages, and the package's name below it. `numpy.libs` belongs to numpy.
pub fn python_package(path: &str) -> Option<(&str, &str)> {
    let place = ["/site-packages/", "/dist-packages/"];
    let (at, len) = place.iter().find_map(|place| path.rfind(place).map(|at| (at, place.len())))?;
    let first = path[at + len..].split('/').next()?;
    Some((&path[..at + len], first.split('.').next().unwrap_or(first)))
}

/// The directory of the npm or Python package that a file belongs to.
pub fn package_directory(path: &str) -> Option<&str> {
    if let Some((_, end)) = npm_package(path) {
        return Some(&path[..end]);
    }
    python_package(path).map(|(place, name)| &path[..place.len() + name.len()])
}

/// Files that node-gyp builds in the package.
fn is_build(path: &str, package: &str) -> bool {
    let rest = path.strip_prefix(package).unwrap_or_default();
    rest.ends_with(".node") && ["/build/Release/", "/build/Debug/"].iter().any(|place| rest.starts_with(place))
}

/// The identity of a file in a tool's cache: the path up to the directory that names the platform, without platform
/// words and versions. A cache is below a directory that only tools read: `.terraform`, `.krew`. Packages of a language
/// are loaded from any directory: `.yarn/unplugged`, `.venv`, `.next/standalone`.
fn cache(path: &str) -> Option<String> {
    if package_directory(path).is_some() {
        return None;
    }
    let is_cache = |name: &str| {
        (name.starts_with('.') && name != ".local")
            || name.contains("terraform")
            || matches!(name, "plugin-cache" | "tools-cache" | "_cacache")
    };
    let ends = path.match_indices('/').skip(1).map(|(end, _)| end);
    let mut is_cached = false;
    let mut named = None;
    for end in ends {
        let name = path[..end].rsplit('/').next().unwrap_or_default();
        if is_cached && tokens::read(name).is_some_and(|platform| platform.arch.is_some()) {
            named = Some(&path[..end]);
        }
        is_cached |= is_cache(name);
    }
    let key = tokens::read(named.filter(|_| is_cached)?)?.key;
    let is_version = |part: &str| part.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | 'v'));
    Some(key.split('/').filter(|part| !is_version(part)).collect::<Vec<_>>().join("/"))
}

/// Whether a file is one of Prisma's engines.
pub fn is_engine(path: &str) -> bool {
    engine(path).is_some()
}

fn engine(path: &str) -> Option<String> {
    const ENGINES: [&str; 5] =
        ["libquery_engine-", "query-engine-", "schema-engine-", "migration-engine-", "introspection-engine-"];
    let (directory, name) = path.rsplit_once('/')?;
    ENGINES.iter().find(|engine| name.starts_with(**engine)).map(|engine| format!("{directory}/{engine}"))
}

/// Source: npm's package.json(5), "os": names, or names that are excluded with `!`.
fn is_elsewhere(os: &[String]) -> bool {
    !os.is_empty() && !os.iter().any(|os| os == "linux" || (os.starts_with('!') && os != "!linux"))
}
