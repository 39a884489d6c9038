//! Judges an index: entries that were left out or are broken, and whether it is what it appears to be. Pure.

use super::Open;
use super::model::{ImageReport, Problem};
use crate::image::{BrokenEntry, Image, Selection, SkippedEntry, Wanted, Why, select};
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::oci::Reference;
use crate::platform::Platform;
use crate::source::input::OpenedInput;

/// Adds the findings and problems of an index: entries that were left out or are broken, and misleading indexes.
pub fn judge(selection: &Selection, report: &mut ImageReport) {
    for BrokenEntry { descriptor, promised, error } in &selection.broken {
        let platform = promised.as_ref().map_or_else(|| descriptor.digest.short(), ToString::to_string);
        report.problems.push(Problem::new(format!("{platform}: {error}"), error.hint()));
    }
    let mut attestations = 0;
    for SkippedEntry { descriptor, platform, why } in &selection.skipped {
        let name = platform.as_ref().map_or_else(|| descriptor.digest.short(), ToString::to_string);
        match why {
            Why::Attestation => attestations += 1,
            Why::Artifact(kind) => report.skipped.push(format!("not an image: {} ({kind})", descriptor.digest.short())),
            Why::NotWanted => {}
            Why::NotPresent { place } => {
                let message = format!("{name} is listed, but its content is not present in {place}");
                report.findings.push(Finding::new(Code::PlatformAbsent, message));
            }
        }
    }
    report.findings.extend(seeming(selection, report.origin.registry(), attestations));
    if selection.images.is_empty() && report.problems.is_empty() {
        report
            .problems
            .push(Problem::new("none of its platforms is stored here", Some("scan it from its registry".into())));
    }
}

/// An index that is easily mistaken for a multi-platform image, or a digest that leaves no choice of platform.
fn seeming(selection: &Selection, registry: Option<&Reference>, attestations: usize) -> Option<Finding> {
    if selection.index_annotations.is_none() {
        let only = platform_name(selection.images.first()?);
        let reference = registry.filter(|reference| reference.digest.is_some())?;
        let mut finding = Finding::new(Code::DigestPinsPlatform, format!("the digest pins {only} only"));
        let name = format!("{}/{}", reference.registry, reference.repository);
        let (what, command) = match &reference.tag {
            Some(tag) => (
                "pin the first digest that this command shows",
                format!("docker buildx imagetools inspect {name}:{tag}"),
            ),
            None => (
                "pin the index of one of the tags that this command lists",
                format!("skopeo list-tags docker://{name}"),
            ),
        };
        finding.hint = vec![what.to_string(), command];
        return Some(finding);
    }
    let left_out = selection.skipped.iter().any(|entry| !matches!(entry.why, Why::Attestation | Why::Artifact(_)));
    let ([only], true, false) = (&*selection.images, selection.broken.is_empty(), left_out) else { return None };
    let (only, with_attestation) = (platform_name(only), if attestations > 0 { " and its attestation" } else { "" });
    let mut finding = Finding::new(Code::SinglePlatformIndex, format!("the index lists only {only}{with_attestation}"));
    if only.starts_with("linux/") && !["linux/amd64", "linux/arm64"].contains(&&*only) {
        let usual = "build the other platforms: docker buildx build --platform";
        finding.hint = vec![format!("{usual} {only},linux/amd64,linux/arm64")];
    }
    Some(finding)
}

/// Puts a digest that pins one platform first if the image fails because another platform is needed. `open` checks
/// whether an index has it: the index of the reference's own tag, or of `latest` if that contains the pinned image too.
pub fn blame_pin(report: &mut ImageReport, platforms: &[Platform], open: Open<'_>) {
    let is_other = |finding: &Finding| {
        matches!(finding.code, Code::EntrypointWrongArch | Code::WhollyAnotherArchitecture | Code::NoPlatformForTarget)
    };
    let of_platforms = report.platforms.iter().flat_map(|platform| &platform.findings);
    let fails = report.findings.iter().chain(of_platforms).any(is_other);
    let Some(at) = report.findings.iter().position(|finding| finding.code == Code::DigestPinsPlatform) else { return };
    if fails {
        let mut pin = report.findings.remove(at);
        pin.severity = Severity::Error;
        pin.message = format!("{}, so no other platform of its index is pulled", pin.message);
        if let Some(line) = report.origin.registry().and_then(|reference| index_to_pin(reference, platforms, open)) {
            pin.hint = vec![line];
        }
        report.findings.insert(0, pin);
    }
}

/// The reference of the index that has the needed platforms.
fn index_to_pin(reference: &Reference, platforms: &[Platform], open: Open<'_>) -> Option<String> {
    let name =
        format!("{}/{}:{}", reference.registry, reference.repository, reference.tag.as_deref().unwrap_or("latest"));
    let OpenedInput::Image(source) = open(&name).ok()?.input else { return None };
    let selection = select(&*source, &Wanted::default()).ok()?;
    selection.index_annotations.as_ref()?;
    let has = |platform: &Platform| {
        let promised = selection.images.iter().filter_map(|image| image.promised.as_ref());
        promised.into_iter().any(|own| (&own.os, &own.architecture) == (&platform.os, &platform.architecture))
    };
    let holds_pinned = selection.images.iter().any(|image| Some(&image.manifest.digest) == reference.digest.as_ref());
    let is_it = platforms.iter().all(has) && (holds_pinned || reference.tag.is_some());
    let names = platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    is_it.then(|| format!("pin the index, which has {names}: {name}@{}", selection.root.digest))
}

fn platform_name(image: &Image) -> String {
    image.promised.as_ref().or(image.declared.as_ref()).map_or_else(|| "one platform".to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::Memory;
    use crate::oci::Descriptor;
    use crate::source::Origin;
    use crate::source::input::Opened;
    use serde_json::{Value, json};

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    fn described(descriptor: &Descriptor, platform: &str) -> Value {
        let (os, architecture) = platform.split_once('/').unwrap();
        json!({
            "mediaType": descriptor.media_type, "digest": descriptor.digest.as_str(), "size": descriptor.size,
            "platform": {"os": os, "architecture": architecture},
        })
    }

    fn image(memory: &mut Memory, platform: &str) -> Descriptor {
        let (os, architecture) = platform.split_once('/').unwrap();
        let config = json!({"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}});
        let config = memory.add("application/vnd.oci.image.config.v1+json", config.to_string());
        let config = json!({"mediaType": config.media_type, "digest": config.digest.as_str(), "size": config.size});
        memory.add(MANIFEST, json!({"schemaVersion": 2, "config": config, "layers": []}).to_string())
    }

    /// An index of these platforms; `attestation` is an attestation of the first.
    fn indexed(platforms: &[&str]) -> Memory {
        let mut memory = Memory::default();
        let mut entries: Vec<Value> = Vec::new();
        for platform in platforms {
            if *platform == "attestation" {
                let mut entry = described(&memory.add(MANIFEST, "{}"), "unknown/unknown");
                entry["annotations"] = json!({
                    "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": entries[0]["digest"],
                });
                entries.push(entry);
            } else {
                let descriptor = image(&mut memory, platform);
                entries.push(described(&descriptor, platform));
            }
        }
        memory.root = Some(memory.add(INDEX, json!({"schemaVersion": 2, "manifests": entries}).to_string()));
        memory
    }

    fn registry(name: &str) -> Origin {
        Origin::Registry { reference: Reference::parse(name).unwrap(), mirror: None }
    }

    fn check(memory: &Memory, wanted: &[&str], origin: Origin, expected: &[(Code, &str)]) {
        let platforms = wanted.iter().map(|name| Platform::parse(name).unwrap()).collect();
        let wanted = Wanted { platforms, ..Wanted::default() };
        let mut report = ImageReport::new("app", origin.clone());
        judge(&select(memory, &wanted).unwrap(), &mut report);
        let found: Vec<(Code, &str)> =
            report.findings.iter().map(|found| (found.code, found.message.as_str())).collect();
        assert_eq!(found, expected, "{origin}");
    }

    #[test]
    fn an_index_of_one_platform_and_its_attestation_is_not_multi_platform() {
        let check = |platforms: &[&str], wanted: &[&str], expected: &[(Code, &str)]| {
            check(&indexed(platforms), wanted, registry("r.example/app:1"), expected);
        };
        let found = Code::SinglePlatformIndex;
        check(&["linux/amd64", "attestation"], &[], &[(found, "the index lists only linux/amd64 and its attestation")]);
        check(&["linux/arm64"], &[], &[(found, "the index lists only linux/arm64")]);
        check(&["linux/amd64", "linux/arm64"], &[], &[]);
        check(&["linux/amd64", "attestation", "linux/arm64"], &[], &[]);
        // The user requested one of several.
        check(&["linux/amd64", "linux/arm64"], &["linux/arm64"], &[]);
    }

    #[test]
    fn the_hint_for_a_pin_is_the_index_that_has_the_platform() {
        let cure = |reference: &str, platform: &str, held: &[&str]| {
            let pinned = image(&mut Memory::default(), "linux/amd64").digest;
            let reference = Reference::parse(&format!("{reference}@{pinned}")).unwrap();
            let open = |name: &str| {
                let input = OpenedInput::Image(Box::new(indexed(held)));
                Ok(Opened { input, origin: registry(name), name: name.to_string(), note: None })
            };
            index_to_pin(&reference, &[Platform::parse(platform).unwrap()], &open)
        };
        let both = ["linux/amd64", "linux/arm64"];
        let index = indexed(&both).root.unwrap().digest;
        let expected = |tag: &str| Some(format!("pin the index, which has linux/arm64: r.example/app:{tag}@{index}"));
        assert_eq!(cure("r.example/app:1", "linux/arm64", &both), expected("1"));
        assert_eq!(cure("r.example/app", "linux/arm64", &both), expected("latest"));
        assert_eq!(cure("r.example/app:1", "linux/s390x", &both), None);
        // An unrelated image, unless the user named its tag.
        assert_eq!(cure("r.example/app", "linux/arm64", &["linux/arm64"]), None);
        assert!(cure("r.example/app:1", "linux/arm64", &["linux/arm64"]).is_some());
    }

    #[test]
    fn a_digest_of_one_platforms_manifest_pins_that_platform() {
        let mut memory = Memory::default();
        memory.root = Some(image(&mut memory, "linux/arm64"));
        let pinned = format!("r.example/app@{}", memory.root.as_ref().unwrap().digest);
        let found = [(Code::DigestPinsPlatform, "the digest pins linux/arm64 only")];
        check(&memory, &[], registry(&pinned), &found);
        check(&memory, &[], registry("r.example/app:1"), &[]);
        // An engine or a file only has one platform anyway.
        let engine = Origin::DockerEngine { place: "Docker Engine at unix:///run/docker.sock".to_string() };
        check(&memory, &[], engine, &[]);
        let index = indexed(&["linux/amd64", "linux/arm64"]);
        let pinned = format!("r.example/app@{}", index.root.as_ref().unwrap().digest);
        check(&index, &[], registry(&pinned), &[]);
    }
}
