//! Gems whose native part is built, but for the platform of another C library: RubyGems ignores a gem without a directory
//! in its own `extensions/PLATFORM/VERSION`. Seen with Ruby 3.1: "Ignoring bcrypt-3.1.18 because its extensions are not
//! built". Source: RubyGems' basic_specification.rb `missing_extensions?`, `extension_dir`.

use crate::judge::code::{Code, Severity};
use crate::judge::facts::programs::JudgedProgram;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::tokens;
use crate::judge::files::{FileRuleInput, foreign};
use crate::judge::finding::Finding;

/// Maximum number of platforms to search for another build of a gem.
const PLATFORMS: usize = 64;

/// The finding on a built part of a gem that RubyGems does not use.
pub fn judge(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, runtime: RuntimeKind) -> Option<Finding> {
    if runtime != RuntimeKind::Ruby {
        return None;
    }
    let (root, platform, version, gem) = extension(&program.path)?;
    let is_other = |platform: &str| {
        let libc = tokens::read(platform).and_then(|platform| platform.libc);
        libc.is_some_and(|libc| !files.programs.libcs.is_empty() && !files.programs.libcs.contains(&libc))
    };
    if !is_other(platform) {
        return None;
    }
    let root_id = files.rootfs.resolve(root).ok()?;
    // The gem may also be built for the platform that this Ruby has.
    let has_own = files.rootfs.children(root_id).take(PLATFORMS).any(|view| {
        let other = String::from_utf8_lossy(view.name).into_owned();
        !is_other(&other) && files.rootfs.resolve(format!("{root}/{other}/{version}/{gem}")).is_ok()
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
    use crate::judge::rules::later_tests::{Put, found, own};

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
}
