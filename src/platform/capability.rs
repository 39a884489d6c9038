//! Linux capabilities by name, the sets that engines grant, and the `security.capability` attribute of files.
//! Source: include/uapi/linux/capability.h; security/commoncap.c `get_vfs_caps_from_disk`.

use serde::{Deserialize, Serialize};

/// A set of capabilities as bits; CAP_CHOWN is the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Capabilities(pub u64);

/// Names without `CAP_`, in the order of their numbers.
const NAMES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The capabilities that CRI-O grants by default; every engine grants at least these.
/// Source: cri-o pkg/config `DefaultCapabilities`.
const LEAST: &[&str] =
    &["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETPCAP", "SETUID"];

/// Additional capabilities that docker and containerd's CRI grant by default. Source: moby oci/caps/defaults.go;
/// containerd oci/spec.go `defaultUnixCaps`.
const DOCKERS: &[&str] = &["AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP", "SYS_CHROOT"];

impl Capabilities {
    /// Overrides the permission checks on files and directories.
    pub const DAC_OVERRIDE: Capabilities = Capabilities(1 << 1);
    pub const SYS_RAWIO: Capabilities = Capabilities(1 << 17);

    /// The 14 default capabilities of a container on docker and on containerd in Kubernetes.
    pub fn of_docker() -> Capabilities {
        Capabilities::of_all_engines().union(Capabilities::named(DOCKERS))
    }

    /// The ones of those that CRI-O and podman also grant.
    pub fn of_all_engines() -> Capabilities {
        Capabilities::named(LEAST)
    }

    /// The capabilities of a privileged container.
    pub fn all() -> Capabilities {
        Capabilities((1 << NAMES.len()) - 1)
    }

    fn named(names: &[&str]) -> Capabilities {
        names.iter().filter_map(|name| Capabilities::parse(name)).fold(Capabilities(0), Capabilities::union)
    }

    /// Parses the name of one capability, with or without `CAP_`, in any case.
    pub fn parse(name: &str) -> Option<Capabilities> {
        let upper = name.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        NAMES.iter().position(|known| *known == name).map(|bit| Capabilities(1 << bit))
    }

    pub fn union(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 | other.0)
    }

    /// The capabilities in this set that are not in `other`.
    pub fn beyond(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & !other.0)
    }

    pub fn contains(self, other: Capabilities) -> bool {
        other.beyond(self).is_empty()
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// `CAP_NET_ADMIN, CAP_NET_RAW`.
    pub fn names(self) -> Vec<String> {
        let is_in = |bit: &usize| self.0 & 1 << bit != 0;
        (0..NAMES.len()).filter(is_in).map(|bit| format!("CAP_{}", NAMES[bit])).collect()
    }
}

/// The capabilities that a container's spec adds to and drops from the ones that its engine grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CapabilityChange {
    /// The container has all capabilities; the lists are ignored.
    pub is_privileged: bool,
    adds_all: bool,
    drops_all: bool,
    added: Capabilities,
    dropped: Capabilities,
}

impl CapabilityChange {
    /// Parses lists of names, including `ALL`. Unknown names change nothing: engines reject them.
    pub fn new(is_privileged: bool, add: &[String], drop: &[String]) -> CapabilityChange {
        let is_all = |name: &String| name.eq_ignore_ascii_case("ALL");
        let named = |names: &[String]| {
            let parsed = names.iter().filter_map(|name| Capabilities::parse(name));
            parsed.fold(Capabilities::default(), Capabilities::union)
        };
        CapabilityChange {
            is_privileged,
            adds_all: add.iter().any(is_all),
            drops_all: drop.iter().any(is_all),
            added: named(add),
            dropped: named(drop),
        }
    }

    /// The bounding set of a container that would have `granted` without the change.
    /// Source: containerd's internal/cri/opts `WithCapabilities`; moby's caps `TweakCapabilities`.
    pub fn apply(self, granted: Capabilities) -> Capabilities {
        if self.is_privileged {
            return Capabilities::all();
        }
        let base = match (self.adds_all, self.drops_all) {
            (_, true) => Capabilities::default(),
            (true, false) => Capabilities::all(),
            (false, false) => granted,
        };
        base.union(self.added).beyond(self.dropped)
    }
}

/// The `security.capability` attribute of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileCapabilities {
    Sound {
        permitted: Capabilities,
        /// The kernel refuses to execute the file if the process cannot have all of `permitted`.
        is_effective: bool,
        /// The root user of the namespace that they apply to (revision 3); 0 is the machine's, and the older
        /// revisions'.
        root: u32,
    },
    /// A revision or length that the kernel does not know: it neither stores such an attribute nor executes the file.
    Malformed,
}

const REVISION_MASK: u32 = 0xff00_0000;
/// Revision and length in bytes of `vfs_cap_data` and `vfs_ns_cap_data`. The first one is read-only.
const REVISIONS: &[(u32, usize)] = &[(0x0100_0000, 12), (0x0200_0000, 20), (0x0300_0000, 24)];
const FLAG_EFFECTIVE: u32 = 1;

impl FileCapabilities {
    /// Parses the attribute's bytes.
    pub fn parse(bytes: &[u8]) -> FileCapabilities {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at * 4..at * 4 + 4)?.try_into().ok()?));
        let Some(magic) = word(0).filter(|magic| REVISIONS.contains(&(magic & REVISION_MASK, bytes.len()))) else {
            return FileCapabilities::Malformed;
        };
        let (low, high) = (word(1).unwrap_or(0), if bytes.len() > 12 { word(3).unwrap_or(0) } else { 0 });
        let bits = (u64::from(high) << 32 | u64::from(low)) & Capabilities::all().0;
        FileCapabilities::Sound {
            permitted: Capabilities(bits),
            is_effective: magic & FLAG_EFFECTIVE != 0,
            root: word(5).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[u32], expected: FileCapabilities) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(FileCapabilities::parse(&bytes), expected, "{words:x?}");
    }

    fn sound(names: &[&str], is_effective: bool, root: u32) -> FileCapabilities {
        FileCapabilities::Sound { permitted: Capabilities::named(names), is_effective, root }
    }

    #[test]
    fn each_revision_has_its_own_length() {
        check(&[0x0200_0001, 0x2400, 0, 0, 0], sound(&["NET_BIND_SERVICE", "NET_RAW"], true, 0));
        check(&[0x0200_0000, 1 << 21, 0, 1 << 7, 0], sound(&["SYS_ADMIN", "BPF"], false, 0));
        check(&[0x0100_0001, 1 << 12, 0], sound(&["NET_ADMIN"], true, 0));
        check(&[0x0300_0001, 1 << 12, 0, 0, 0, 1000], sound(&["NET_ADMIN"], true, 1000));
        // Unknown bits are ignored.
        check(&[0x0200_0001, 0, 0, 0xffff_fe00, 0], sound(&[], true, 0));
        for words in [&[][..], &[0x0200_0001], &[0x0200_0001, 0, 0], &[0x0300_0001, 0, 0, 0, 0], &[0x0400_0001; 5]] {
            check(words, FileCapabilities::Malformed);
        }
        assert_eq!(FileCapabilities::parse(b"\x01\0\0"), FileCapabilities::Malformed);
    }

    #[test]
    fn docker_grants_fourteen_and_cri_o_nine_of_them() {
        assert_eq!(Capabilities::of_docker().0, 0xa804_25fb, "as CapBnd in /proc/self/status of a container");
        assert_eq!(Capabilities::of_docker().names().len(), 14);
        assert_eq!(Capabilities::of_all_engines().names().len(), 9);
        assert_eq!(Capabilities::all().0, 0x1ff_ffff_ffff);
    }
}
