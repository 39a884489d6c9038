//! Which entry of an index a node's engine pulls, or the engine's error message. Each engine has its own rules, and a
//! pull that succeeds proves nothing: several engines fall back to architectures that the node may not run. Pure. Every
//! engine pulls a single manifest, without an index, regardless of its platform.

use super::{Arch, Fact, Isa, NodeEngine, Platform, Target};

/// Error: no entry fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PullRefusal {
    /// The engine's message, as it appears in a terminal or in a pod's events.
    pub message: String,
}

/// The entries of an index that `engine` accepts on `target`, best first: it pulls the first. `None` in `offered` is an
/// entry without a platform. Source: containerd/platforms `Only` and `platformVector`; moby `filterManifests`;
/// containerd `images.Manifest` and CRI's `pullImageWithTransferService`; containers/image `WantedPlatforms`.
pub fn pick(engine: NodeEngine, target: &Target, offered: &[Option<Platform>]) -> Result<Vec<usize>, PullRefusal> {
    let asked = asked_platform(engine, target);
    let wanted = wanted(engine, &asked);
    let rank = |platform: &Option<Platform>| match platform {
        Some(offer) => wanted.iter().position(|want| is_same(want, offer)),
        // An entry without a platform fits every node, and comes last.
        None => Some(wanted.len()),
    };
    let mut fitting: Vec<(usize, usize)> =
        offered.iter().enumerate().filter_map(|(index, offer)| Some((rank(offer)?, index))).collect();
    fitting.sort();
    if fitting.is_empty() {
        return Err(PullRefusal { message: refusal(engine, &asked) });
    }
    Ok(fitting.into_iter().map(|(_, index)| index).collect())
}

fn is_same(want: &Platform, offer: &Platform) -> bool {
    (&want.os, &want.architecture, &want.variant) == (&offer.os, &offer.architecture, &offer.variant)
}

/// The platform that the engine detects for its machine. AArch64 is always `v8` (`CPU architecture` of /proc/cpuinfo),
/// so entries for v8.x and v9 are never pulled; only Docker checks the level of an x86-64 CPU.
fn asked_platform(engine: NodeEngine, target: &Target) -> Platform {
    let arch = target.node.arch;
    let variant = match (arch, target.node.isa) {
        (Arch::Amd64, Fact::Known(Isa::X86(level)))
            if matches!(engine, NodeEngine::DockerGraph | NodeEngine::DockerContainerd) =>
        {
            Some(format!("v{level}"))
        }
        (Arch::Arm, _) => target.platform.variant.clone(),
        _ => None,
    };
    Platform::new(&target.platform.os, arch.oci(), variant.as_deref())
}

/// The platforms that the engine accepts, best first.
fn wanted(engine: NodeEngine, asked: &Platform) -> Vec<Platform> {
    let os = asked.os.as_str();
    let arm = |from: u8| (5..=from).rev().map(move |version| Platform::new(os, "arm", Some(&format!("v{version}"))));
    let version = asked.variant.as_deref().and_then(|variant| variant.strip_prefix('v')?.parse::<u8>().ok());
    let is_strict = match engine {
        NodeEngine::ContainerdCri { major, minor } => (major, minor) >= (2, 1),
        NodeEngine::CriO | NodeEngine::Podman => true,
        _ => false,
    };
    match asked.arch() {
        // containers/image only has an order for 32-bit Arm; containerd's transfer service has none.
        Some(Arch::Arm) if matches!(engine, NodeEngine::CriO | NodeEngine::Podman) => match version {
            Some(version @ 5..=8) => arm(version).collect(),
            _ => vec![asked.clone()],
        },
        _ if is_strict => vec![asked.clone()],
        Some(Arch::Amd64) => {
            let levels =
                (2..=version.unwrap_or(1)).rev().map(|level| Platform::new(os, "amd64", Some(&format!("v{level}"))));
            let base = [Platform::new(os, "amd64", None), Platform::new(os, "386", None)];
            levels.chain(base).collect()
        }
        Some(Arch::Arm64) => std::iter::once(asked.clone()).chain(arm(8)).collect(),
        Some(Arch::Arm) => arm(version.unwrap_or(7)).collect(),
        _ => vec![asked.clone()],
    }
}

fn refusal(engine: NodeEngine, asked: &Platform) -> String {
    // Engines print the variant that they remove when they normalise.
    let spelled = match asked.arch() {
        Some(Arch::Arm64) => format!("{asked}/v8"),
        _ => asked.to_string(),
    };
    let docker = format!("no matching manifest for {spelled} in the manifest list entries");
    let containerd = "no match for platform in manifest: not found";
    match engine {
        NodeEngine::DockerGraph => docker,
        NodeEngine::DockerContainerd => format!("{docker}: {containerd}"),
        NodeEngine::Containerd | NodeEngine::ContainerdCri { .. } => containerd.to_string(),
        NodeEngine::CriO | NodeEngine::Podman => {
            let variant = match asked.arch() {
                Some(Arch::Arm64) => "v8",
                _ => asked.variant.as_deref().unwrap_or(""),
            };
            let (architecture, os) = (&asked.architecture, &asked.os);
            format!("no image found in image index for architecture {architecture:?}, variant {variant:?}, OS {os:?}")
        }
    }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
