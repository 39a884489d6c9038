//! The platforms that a wheel's tags name. Source: PEP 425, 600, 656.

use std::collections::BTreeSet;

use crate::judge::facts::tokens::Libc;
use crate::platform::Arch;

/// The platforms of a wheel's tags if none of them is this platform; `any` fits every platform.
pub fn foreign_tags(tags: &[String], here: Arch, libcs: &[Libc]) -> Option<String> {
    let platforms: BTreeSet<&str> =
        tags.iter().filter_map(|tag| tag.rsplit('-').next()).flat_map(|platforms| platforms.split('.')).collect();
    let serves = |platform: &&str| match *platform {
        "any" => true,
        platform if platform.contains("linux") => {
            let libc = if platform.starts_with("musllinux") {
                Some(Libc::Musl)
            } else if platform.starts_with("manylinux") {
                Some(Libc::Glibc)
            } else {
                None
            };
            let fits_libc = libcs.is_empty() || libc.is_none_or(|libc| libcs.contains(&libc));
            // An unknown architecture proves nothing.
            fits_libc && tag_arch(platform).is_none_or(|arch| arch == here)
        }
        platform => !(platform.starts_with("macosx_") || platform.starts_with("win") || platform.starts_with("ios_")),
    };
    (!platforms.is_empty() && !platforms.iter().any(serves))
        .then(|| platforms.into_iter().collect::<Vec<_>>().join(", "))
}

/// `manylinux_2_17_x86_64` and `linux_aarch64`.
fn tag_arch(platform: &str) -> Option<Arch> {
    crate::platform::arch::ARCHES
        .iter()
        .flat_map(|row| row.uname.iter().chain(row.aliases).map(move |name| (row.arch, *name)))
        .filter(|(_, name)| platform.ends_with(&format!("_{name}")))
        .max_by_key(|(_, name)| name.len())
        .map(|(arch, _)| arch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheels_tags_name_its_platforms() {
        let tags = |text: &str| foreign_tags(&[text.to_string()], Arch::Arm64, &[Libc::Glibc]).is_some();
        for foreign in [
            "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
            "cp311-cp311-musllinux_1_2_armv7l",
            "cp311-cp311-musllinux_1_2_aarch64",
            "cp311-cp311-macosx_11_0_arm64",
            "cp311-cp311-win_amd64",
        ] {
            assert!(tags(foreign), "{foreign}");
        }
        for own in [
            "cp311-cp311-manylinux_2_28_aarch64",
            "cp311-cp311-linux_aarch64",
            "py3-none-any",
            "cp311-cp311-manylinux_2_17_x86_64.manylinux_2_17_aarch64",
        ] {
            assert!(!tags(own), "{own}");
        }
    }
}
