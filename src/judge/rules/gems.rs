//! Gems whose native part is not built, or for the platform of another C library: RubyGems ignores a gem without the file
//! `gem.build_complete` in its own `extensions/PLATFORM/VERSION/GEM`. Seen with Ruby 3.1: "Ignoring bcrypt-3.1.18 because its extensions are not
//! built". Source: RubyGems' basic_specification.rb `missing_extensions?`, `extension_dir`.

use std::collections::BTreeMap;

use crate::image::NodeKind;
use crate::judge::code::{Code, Severity};
use crate::judge::facts::programs::JudgedProgram;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::tokens;
use crate::judge::facts::versions::Versioned;
use crate::judge::files::{FileRuleInput, foreign};
use crate::judge::finding::Finding;

/// Maximum number of platforms to search for another build of a gem.
const PLATFORMS: usize = 64;
/// The file that RubyGems writes once it has built a gem.
const COMPLETE: &str = "gem.build_complete";

/// Findings on gems that RubyGems builds on installation, but that were not built for this image's Ruby. `found`: the
/// other rules' findings, which may already cover the native part of a gem.
pub fn unbuilt(files: &FileRuleInput<'_>, found: &[Finding]) -> Vec<Finding> {
    if files.reach.interpreter(RuntimeKind::Ruby).is_none() {
        return Vec::new();
    }
    let mut gems = BTreeMap::new();
    for view in files.rootfs.named(b"extconf.rb").filter(|view| view.kind == NodeKind::File) {
        let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        let Some((root, gem)) = path.split_once("/ext/").and_then(|(directory, _)| directory.rsplit_once("/gems/"))
        else {
            continue;
        };
        // The extension of a precompiled gem is not built; its sources may still be there.
        let is_precompiled = tokens::read(gem).is_some_and(|platform| platform.arch.is_some());
        if gem.contains('-') && !gem.contains('/') && !is_precompiled {
            gems.entry((root.to_string(), gem.to_string())).or_insert(view.layer);
        }
    }
    gems.retain(|(_, gem), _| {
        let inside = format!("/{gem}/");
        let is_its = |finding: &Finding| finding.path.as_ref().is_some_and(|path| path.contains(&inside));
        !found.iter().any(|finding| finding.severity == Severity::Error && is_its(finding))
    });
    gems.into_iter().filter_map(|((root, gem), layer)| unbuilt_gem(files, &root, &gem, layer)).collect()
}

fn unbuilt_gem(files: &FileRuleInput<'_>, root: &str, gem: &str, layer: usize) -> Option<Finding> {
    let has = |path: String| files.rootfs.resolve(path).is_ok();
    // The default gems of Ruby are built with it, and Debian's packages have their specifications elsewhere.
    if !has(format!("{root}/specifications/{gem}.gemspec")) {
        return None;
    }
    let built = files.rootfs.resolve(format!("{root}/extensions")).ok();
    let platforms = built.into_iter().flat_map(|id| files.rootfs.children(id)).take(PLATFORMS);
    let mut other = None;
    for platform in platforms {
        let name = String::from_utf8_lossy(platform.name).into_owned();
        for version in files.rootfs.children(platform.id).take(PLATFORMS) {
            let release = String::from_utf8_lossy(version.name).into_owned();
            if !has(format!("{root}/extensions/{name}/{release}/{gem}/{COMPLETE}")) {
                continue;
            }
            if is_used(files, &name, &release) {
                return None;
            }
            other = Some(format!("{name}/{release}"));
        }
    }
    let directory = format!("{root}/gems/{gem}");
    let why = match &other {
        Some(other) => format!("its native part was only built for {other}"),
        None => format!("its native part was not built: {COMPLETE} is missing"),
    };
    let message = format!("RubyGems ignores {gem}, because {why}");
    let mut finding = Finding::new(Code::PackagePartMissing, message).at(&directory, layer);
    (finding.is, finding.expected) = (
        other.map_or_else(|| "not built".to_string(), |other| format!("for {other}")),
        format!("{root}/extensions/PLATFORM/VERSION/{gem}"),
    );
    finding.group = Some(directory.clone());
    finding.hint = vec![format!(
        "run gem pristine {}, or bundle install, in the final stage, or copy {root}/extensions with {root}/gems",
        name(gem)
    )];
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.extend(files.interpreter(RuntimeKind::Ruby));
    finding.reached_by.push(directory);
    Some(finding.severity(Severity::Error))
}

/// Whether this image's Ruby looks for extensions in the directory of a platform and version, such as `x86_64-linux` and
/// `3.1.0`. What is not known counts as used.
fn is_used(files: &FileRuleInput<'_>, platform: &str, version: &str) -> bool {
    let named = tokens::read(platform);
    let arch = named.as_ref().and_then(|platform| platform.arch);
    let release = version.split_once(".0").map_or(version, |(release, _)| release);
    let fits_arch = arch.is_none_or(|arch| arch == files.node.arch);
    fits_arch
        && !is_for_other_libc(files, platform)
        && files.reach.versions().without(Versioned::Ruby, release).is_none()
}

/// Whether the name of a platform states a C library that the image does not have.
fn is_for_other_libc(files: &FileRuleInput<'_>, platform: &str) -> bool {
    let libc = tokens::read(platform).and_then(|platform| platform.libc);
    libc.is_some_and(|libc| !files.programs.libcs.is_empty() && !files.programs.libcs.contains(&libc))
}

/// The finding on a built part of a gem that RubyGems does not use.
pub fn judge(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, runtime: RuntimeKind) -> Option<Finding> {
    if runtime != RuntimeKind::Ruby {
        return None;
    }
    let (root, platform, version, gem) = extension(&program.path)?;
    if !is_for_other_libc(files, platform) {
        return None;
    }
    let root_id = files.rootfs.resolve(root).ok()?;
    // The gem may also be built for the platform that this Ruby has.
    let has_own = files.rootfs.children(root_id).take(PLATFORMS).any(|view| {
        let other = String::from_utf8_lossy(view.name).into_owned();
        !is_for_other_libc(files, &other) && files.rootfs.resolve(format!("{root}/{other}/{version}/{gem}")).is_ok()
    });
    if has_own {
        return None;
    }
    let message =
        format!("the native part of the gem {gem} is built for {platform}, where this image's Ruby does not look");
    let mut finding = foreign(files, program, Code::PackageOtherPlatform, message).severity(Severity::Error);
    (finding.is, finding.expected) = (format!("for {platform}"), "built for this image's Ruby".to_string());
    finding.group = Some(format!("{root}/{platform}/{version}/{gem}"));
    finding.hint = vec![format!("run gem pristine {}, or bundle install, in the final stage", name(gem))];
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.extend(files.interpreter(runtime));
    finding.reached_by.push(program.path.clone());
    Some(finding)
}

/// The parts of `ROOT/extensions/x86_64-linux/3.1.0/bcrypt-3.1.18/bcrypt_ext.so`.
fn extension(path: &str) -> Option<(&str, &str, &str, &str)> {
    let at = path.find("/extensions/")? + "/extensions".len();
    let mut parts = path[at + 1..].split('/');
    let (platform, version, gem) = (parts.next()?, parts.next()?, parts.next()?);
    let is_version = version.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.');
    // A file of the gem follows.
    parts.next().filter(|_| is_version && gem.contains('-'))?;
    Some((&path[..at], platform, version, gem))
}

/// `bcrypt` of `bcrypt-3.1.18`.
fn name(gem: &str) -> &str {
    gem.rsplit_once('-').map_or(gem, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use crate::judge::rules::later_tests::{Put, found, own, text};

    #[test]
    fn a_gem_that_is_built_for_another_c_library_is_ignored() {
        let ruby = || Put::Program("usr/bin/ruby", own().build());
        let put = || Put::Library("usr/local/bundle/extensions/aarch64-linux/3.1.0/a-1.0/a.so", own().build());
        assert_eq!(found(&[ruby(), put()]), [""; 0]);
        let path = "usr/local/bundle/extensions/aarch64-linux-musl/3.1.0/a-1.0/a.so";
        let musl = || Put::Library(path, own().build());
        assert_eq!(found(&[ruby(), musl()]), [format!("error package-other-platform /{path}")]);
        assert_eq!(found(&[ruby(), musl(), put()]), [""; 0]);
    }

    /// Seen with Ruby 3.1: "Ignoring a-1.0 because its extensions are not built. Try: gem pristine a --version 1.0".
    #[test]
    fn a_gem_that_was_not_built_is_ignored() {
        let ruby = || Put::Program("usr/bin/ruby", own().build());
        let source = || text("var/lib/gems/3.1.0/gems/a-1.0/ext/a/extconf.rb", "require 'mkmf'\n");
        let spec = || text("var/lib/gems/3.1.0/specifications/a-1.0.gemspec", "Gem::Specification.new\n");
        let built = || text("var/lib/gems/3.1.0/extensions/aarch64-linux/3.1.0/a-1.0/gem.build_complete", "");
        let unbuilt = ["error package-part-missing /var/lib/gems/3.1.0/gems/a-1.0"];
        assert_eq!(found(&[ruby(), source(), spec()]), unbuilt);
        assert_eq!(found(&[ruby(), source(), spec(), built()]), [""; 0]);
        assert_eq!(found(&[ruby(), source()]), [""; 0]);
        let log = text("var/lib/gems/3.1.0/extensions/aarch64-linux/3.1.0/a-1.0/mkmf.log", "a\n");
        assert_eq!(found(&[ruby(), source(), spec(), log]), unbuilt);
        let other = text("var/lib/gems/3.1.0/extensions/x86_64-linux/3.1.0/a-1.0/gem.build_complete", "");
        assert_eq!(found(&[ruby(), source(), spec(), other]), unbuilt);
        let precompiled = [
            ruby(),
            text("var/lib/gems/3.1.0/gems/a-1.0-aarch64-linux/ext/a/extconf.rb", "require 'mkmf'\n"),
            text("var/lib/gems/3.1.0/specifications/a-1.0-aarch64-linux.gemspec", "Gem::Specification.new\n"),
        ];
        assert_eq!(found(&precompiled), [""; 0]);
    }
}
