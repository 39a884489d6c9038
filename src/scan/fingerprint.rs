//! The identity of a finding across runs: code scanning closes and reopens alerts by it, and a baseline recognises old
//! findings by it. Excludes everything that changes with every build: tag, digest, layer number, wording.

use crate::judge::finding::Finding;
use crate::oci::Digest;
use crate::source::transport::{ImageRef, Naming};

/// An image's name without its tag and digest; a path is kept as typed.
pub fn subject(name: &str) -> String {
    let image = ImageRef::parse(name);
    match (image.reference(), image) {
        (Some(reference), _) => reference.name(),
        (None, ImageRef::Transport { transport, rest }) if transport.row().naming == Naming::Reference => rest,
        (None, _) => name.to_string(),
    }
}

/// 64 hexadecimal digits that identify a finding of an image on a platform (`linux/arm64`; `None`: of the index
/// itself).
pub fn fingerprint(image: &str, platform: Option<&str>, finding: &Finding) -> String {
    of_parts(image, platform, finding.code.name(), finding.path.as_deref())
}

/// The same for something outside the table of findings, such as unreadable content.
pub fn of_parts(image: &str, platform: Option<&str>, code: &str, path: Option<&str>) -> String {
    let parts = [subject(image), platform.unwrap_or_default().into(), code.into(), path.unwrap_or_default().into()];
    Digest::from_bytes(parts.join("\0").as_bytes()).hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::code::Code;

    #[test]
    fn a_new_build_keeps_its_findings_names() {
        let old = Finding::new(Code::ForeignFile, "an old wording").at("/opt/x", 3);
        let new = Finding::new(Code::ForeignFile, "a new wording").at("/opt/x", 4);
        let digest = format!("ghcr.io/user/app@sha256:{}", "a".repeat(64));
        assert_eq!(
            fingerprint("ghcr.io/user/app:v1", Some("linux/arm64"), &old),
            fingerprint(&digest, Some("linux/arm64"), &new)
        );
        assert_ne!(
            fingerprint("ghcr.io/user/app:v1", Some("linux/arm64"), &old),
            fingerprint("ghcr.io/user/app:v1", None, &old)
        );
        assert_eq!(fingerprint("app", None, &old).len(), 64);
    }

    #[test]
    fn a_path_is_its_own_name() {
        assert_eq!(subject("docker://ghcr.io/user/app:v1"), "ghcr.io/user/app");
        assert_eq!(subject("docker-daemon:app:v1"), "app");
        assert_eq!(subject("oci:build/app:v1"), "oci:build/app:v1");
        assert_eq!(subject("oci-archive:app.tar"), "oci-archive:app.tar");
        assert_eq!(subject("./app.tar"), "./app.tar");
        assert_eq!(subject("-"), "-");
    }
}
