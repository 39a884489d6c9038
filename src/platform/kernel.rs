//! Derives a kernel's version and page size from its release and its huge page sizes.
//! Pure; an unknown distribution leaves the page size unknown.

use super::{Arch, Fact};

/// `6.1.0-28-arm64` -> (6, 1).
pub fn version(release: &str) -> Fact<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => Fact::Known((major, minor)),
        _ => Fact::Unknown,
    }
}

/// Marks of distributions' AArch64 kernels and the page size, in bytes, that each is built with. The first mark that
/// the release contains decides. Sources: RHEL kernel-64k (`+64k`); Ubuntu and Debian flavours;
/// aws-graviton-getting-started os.md; Raspberry Pi kernel_2712; Asahi.
const RELEASE_MARKS: &[(&str, u64)] = &[
    ("64k", 64 << 10),
    ("16k", 16 << 10),
    ("rpi-2712", 16 << 10),
    ("asahi", 16 << 10),
    (".el7", 64 << 10),
    (".el8", 64 << 10),
    (".el9", 4 << 10),
    (".el10", 4 << 10),
    (".amzn", 4 << 10),
    ("rpi-v8", 4 << 10),
    ("-talos", 4 << 10),
    ("linuxkit", 4 << 10),
    ("orbstack", 4 << 10),
    ("-aws", 4 << 10),
    ("-azure", 4 << 10),
    ("-gcp", 4 << 10),
    ("-gke", 4 << 10),
    ("-generic", 4 << 10),
];

/// The page size in bytes of a kernel with this release (`uname -r`).
pub fn page_size(arch: Arch, release: &str) -> Fact<u64> {
    match arch {
        Arch::Arm64 => {
            let release = release.to_ascii_lowercase();
            let mark = RELEASE_MARKS.iter().find(|(mark, _)| release.contains(mark));
            mark.map_or(Fact::Unknown, |(_, bytes)| Fact::Known(*bytes))
        }
        _ => super::Node::plain(arch).page_size,
    }
}

/// The page size in bytes of an AArch64 kernel with these huge page sizes, named as in the capacity of a Kubernetes
/// node (`64Ki` of `hugepages-64Ki`). Source: Documentation/arch/arm64/hugetlbpage.rst.
pub fn page_size_of_hugepages<'a>(sizes: impl IntoIterator<Item = &'a str>) -> Fact<u64> {
    let sizes: Vec<&str> = sizes.into_iter().collect();
    let has = |size| sizes.contains(&size);
    if has("64Ki") {
        Fact::Known(4 << 10)
    } else if has("512Mi") || has("16Gi") {
        Fact::Known(64 << 10)
    } else if has("32Mi") {
        Fact::Known(16 << 10)
    } else {
        Fact::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(release: &str, expected: Option<u64>) {
        assert_eq!(page_size(Arch::Arm64, release).known(), expected.map(|kib| kib << 10), "{release}");
    }

    #[test]
    fn a_release_of_a_known_distribution_has_its_page_size() {
        check("5.14.0-284.41.1.el9_2.aarch64+64k", Some(64));
        check("5.14.0-570.el9.aarch64", Some(4));
        check("4.18.0-553.el8_10.aarch64", Some(64));
        check("6.1.102-111.187.amzn2023.aarch64", Some(4));
        check("6.12.25+rpt-rpi-2712", Some(16));
        check("6.12.25+rpt-rpi-v8", Some(4));
        check("6.8.0-1021-nvidia-64k", Some(64));
        check("6.8.0-1021-aws", Some(4));
        check("6.12.9-talos", Some(4));
        check("6.6.87", None);
    }

    #[test]
    fn other_architectures_have_one_page_size_or_none_that_is_known() {
        assert_eq!(page_size(Arch::Amd64, "6.1.0").known(), Some(4096));
        assert_eq!(page_size(Arch::Ppc64le, "5.14.0-427.el9.ppc64le").known(), None);
    }

    #[test]
    fn huge_pages_determine_the_base_page() {
        assert_eq!(page_size_of_hugepages(["1Gi", "2Mi", "32Mi", "64Ki"]).known(), Some(4 << 10));
        assert_eq!(page_size_of_hugepages(["16Gi", "2Mi", "512Mi"]).known(), Some(64 << 10));
        assert_eq!(page_size_of_hugepages(["1Gi", "2Mi", "32Mi"]).known(), Some(16 << 10));
        assert_eq!(page_size_of_hugepages(["1Gi", "2Mi"]).known(), None);
        assert_eq!(page_size_of_hugepages([]).known(), None);
    }

    #[test]
    fn a_version_is_its_first_two_numbers() {
        assert_eq!(version("6.1.0-28-arm64").known(), Some((6, 1)));
        assert_eq!(version("5.14.0-427.el9").known(), Some((5, 14)));
        assert_eq!(version("unknown").known(), None);
    }
}
