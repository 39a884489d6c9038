//! Packages of Node.js that node-gyp builds on installation, but that were not built: npm ignores scripts with
//! `--ignore-scripts`, which is pnpm's and Yarn's default for packages that are not allowed to run them.

use std::collections::BTreeSet;

use crate::image::NodeKind;
use crate::inspect::FileKind;
use crate::judge::code::Code;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::siblings::{Siblings, npm_package};
use crate::judge::files::FileRuleInput;
use crate::judge::finding::Finding;

/// Findings on packages with a `binding.gyp` and without any addon. `found`: the other rules' findings.
pub fn judge(files: &FileRuleInput<'_>, siblings: &Siblings, found: &[Finding]) -> Vec<Finding> {
    let built = files.rootfs.named(b"binding.gyp").filter(|view| view.kind == NodeKind::File);
    let built: Vec<_> = built
        .filter_map(|view| {
            let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
            let (name, end) = npm_package(&path)?;
            (path.get(end..) == Some("/binding.gyp")).then(|| (name.to_string(), path[..end].to_string(), view.layer))
        })
        .collect();
    if built.is_empty() || files.reach.interpreter(RuntimeKind::Node).is_none() {
        return Vec::new();
    }
    let mut optional: BTreeSet<&str> = BTreeSet::new();
    let mut by_platform = BTreeSet::new();
    for view in files.rootfs.files_with_facts() {
        let Some(FileKind::NpmPackage(package)) = view.fact else { continue };
        optional.extend(package.soft.iter().map(String::as_str));
        if !package.optional.is_empty() {
            by_platform.insert(String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned());
        }
    }
    let addons = files.rootfs.matching(NodeKind::File, |name| name.ends_with(b".node"));
    let addons: BTreeSet<String> =
        addons.map(|view| String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned()).collect();
    let mut findings = Vec::new();
    for (name, directory, layer) in built {
        let inside = format!("{directory}/x");
        let start = format!("{directory}/");
        let has_addon = addons.range(start.clone()..).next().is_some_and(|path| path.starts_with(&start));
        // Its dependents work without it.
        let is_optional = optional.contains(name.as_str()) || siblings.is_optional(&inside);
        // Its addons are in separate packages.
        let is_split = by_platform.contains(&format!("{directory}/package.json"));
        let is_known = found.iter().any(|finding| finding.group.as_deref() == Some(&directory));
        if has_addon || is_optional || is_split || is_known || siblings.is_elsewhere(&inside) {
            continue;
        }
        let message = format!("{name} builds its native part on installation, but it was not built");
        let mut finding = Finding::new(Code::PackagePartMissing, message).at(&directory, layer);
        (finding.is, finding.expected) = ("no addon".to_string(), "an addon that node-gyp built".to_string());
        finding.group = Some(directory.clone());
        finding.hint = vec![
            "install the package in the build with its scripts and a C++ compiler, or run npm rebuild".to_string(),
        ];
        finding.reached_by = files.chain.to_vec();
        finding.reached_by.push(directory);
        findings.push(finding);
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::judge::rules::later_tests::{Put, found, own, text};

    #[test]
    fn a_package_that_node_gyp_did_not_build_is_reported() {
        let gyp = || text("srv/node_modules/keytar/binding.gyp", "{}");
        assert_eq!(found(&[gyp()]), ["warning package-part-missing /srv/node_modules/keytar"]);
        let built = Put::Library("srv/node_modules/keytar/build/Release/keytar.node", own().build());
        assert_eq!(found(&[gyp(), built]), [""; 0]);
        let uses = |path: &'static str| text(path, r#"{"name":"a","optionalDependencies":{"keytar":"7"}}"#);
        assert_eq!(found(&[gyp(), uses("srv/node_modules/a/package.json")]), [""; 0]);
        assert_eq!(found(&[gyp(), uses("srv/package.json")]), [""; 0]);
        let mac = text("srv/node_modules/keytar/package.json", r#"{"name":"keytar","os":["darwin"]}"#);
        assert_eq!(found(&[gyp(), mac]), [""; 0]);
        assert_eq!(found(&[text("srv/node_modules/keytar/deps/binding.gyp", "{}")]), [""; 0]);
        let chosen = "try { a = require('./bindings') } catch (e) { a = require('./js') }";
        assert_eq!(found(&[gyp(), text("srv/node_modules/keytar/index.js", chosen)]), [""; 0]);
    }
}
