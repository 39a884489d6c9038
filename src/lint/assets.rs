//! Downloads for one architecture whose names do not contain it.

use crate::platform::Arch;

/// A published file that has no architecture in its name.
pub struct Asset {
    /// The part of the URL before the version.
    pub host: &'static str,
    /// The last part of the URL. `*` matches a version.
    pub file: &'static str,
    pub arch: Arch,
    /// The project's file names for other architectures.
    pub others: &'static str,
}

/// Source: the release pages of each project.
#[rustfmt::skip]
const ASSETS: &[Asset] = &[
    Asset { host: "github.com/krallin/tini/releases/", file: "tini", arch: Arch::Amd64, others: "tini-arm64, tini-armhf" },
    Asset { host: "github.com/krallin/tini/releases/", file: "tini-static", arch: Arch::Amd64, others: "tini-static-arm64" },
    Asset { host: "github.com/krallin/tini/releases/", file: "tini_*.deb", arch: Arch::Amd64, others: "tini_VERSION-arm64.deb" },
    Asset { host: "github.com/Yelp/dumb-init/releases/", file: "dumb-init", arch: Arch::Amd64, others: "dumb-init_VERSION_aarch64" },
    Asset { host: "github.com/tianon/gosu/releases/", file: "gosu", arch: Arch::Amd64, others: "gosu-arm64" },
    Asset { host: "github.com/ninja-build/ninja/releases/", file: "ninja-linux.zip", arch: Arch::Amd64, others: "ninja-linux-aarch64.zip" },
    Asset { host: "github.com/mozilla/sops/releases/", file: "sops-*.linux", arch: Arch::Amd64, others: "sops-VERSION.linux.arm64" },
    Asset { host: "github.com/odise/go-cron/releases/", file: "go-cron-linux.gz", arch: Arch::Amd64, others: "none" },
    Asset { host: "github.com/ethereum/solidity/releases/", file: "solc-static-linux", arch: Arch::Amd64, others: "solc-static-linux-arm" },
    Asset { host: "mirror.openshift.com/pub/openshift-v4/", file: "openshift-client-linux.tar.gz", arch: Arch::Amd64, others: "openshift-client-linux-arm64.tar.gz" },
    Asset { host: "uploader.codecov.io/", file: "codecov", arch: Arch::Amd64, others: "codecov in the aarch64 directory" },
    Asset { host: "steamcdn-a.akamaihd.net/client/installer/", file: "steamcmd_linux.tar.gz", arch: Arch::I386, others: "none" },
];

/// Returns the asset that a URL downloads.
pub fn find(url: &str) -> Option<&'static Asset> {
    let path = url.split(['?', '#']).next()?;
    let (before, file) = path.rsplit_once('/')?;
    let is_it = |asset: &&Asset| {
        let fits = match asset.file.split_once('*') {
            Some((start, end)) => {
                file.len() >= start.len() + end.len() && file.starts_with(start) && file.ends_with(end)
            }
            None => file == asset.file,
        };
        fits && before.contains(asset.host.trim_end_matches('/'))
    };
    let asset = ASSETS.iter().find(is_it)?;
    // With another architecture in its version, the file is a different one.
    crate::platform::word::find(file).iter().all(|token| token.arch == asset.arch).then_some(asset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_known_by_its_host_and_name() {
        for (url, expected) in [
            ("https://github.com/krallin/tini/releases/download/v0.19.0/tini", Some(Arch::Amd64)),
            ("https://github.com/krallin/tini/releases/download/v0.19.0/tini-arm64", None),
            ("https://github.com/krallin/tini/releases/download/v0.19.0/tini_0.19.0.deb", Some(Arch::Amd64)),
            ("https://github.com/krallin/tini/releases/download/v0.19.0/tini_0.19.0-arm64.deb", None),
            ("https://github.com/mozilla/sops/releases/download/v3.7.1/sops-v3.7.1.linux", Some(Arch::Amd64)),
            ("https://example.com/tini", None),
            ("https://steamcdn-a.akamaihd.net/client/installer/steamcmd_linux.tar.gz", Some(Arch::I386)),
        ] {
            assert_eq!(find(url).map(|asset| asset.arch), expected, "{url}");
        }
    }
}
