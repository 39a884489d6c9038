//! `ar` archives: determines the architectures of a static library. Only the first bytes of each member are read, of a
//! limited number of members.

use super::elf;
use super::kind::Ar;
use super::window::Window;
use crate::platform::Arch;

/// Source: ar(5): the magic has eight bytes, the header of each member sixty.
const MAGIC: u64 = 8;
const HEADER: u64 = 60;
/// Maximum number of members to check. The objects of a library are alike, so more members would add cost and no
/// information.
const MEMBERS: usize = 32;
/// Bytes of a member that contain its machine.
const PEEK: u64 = 64;

/// Reads the archive at the start of `window`.
pub fn inspect(window: &mut Window<'_>) -> Ar {
    let mut ar = Ar { is_thin: window.head().starts_with(b"!<thin>\n"), ..Ar::default() };
    if ar.is_thin {
        return ar;
    }
    let mut at = MAGIC;
    for index in 0..MEMBERS {
        let Some((name, size)) = header(at, window) else { break };
        ar.is_deb |= index == 0 && name.starts_with(b"debian-binary");
        if ar.is_deb {
            break;
        }
        // BSD's ar stores a long name before the content.
        let name_len = name.strip_prefix(b"#1/").and_then(decimal).unwrap_or(0);
        let content = at + HEADER + name_len;
        window.want(content, PEEK);
        window.pass(content.saturating_add(PEEK));
        let start = window.from(content).unwrap_or_default();
        if start.starts_with(b"\x7fELF") && name_len < size {
            let (machine, _, class, endian) = elf::peek(&start[..start.len().min(PEEK as usize)]);
            let arch = Arch::of_elf(machine, class, endian);
            ar.arches.extend(arch.filter(|arch| !ar.arches.contains(arch)));
        }
        let Some(next) = (at + HEADER).checked_add(size.next_multiple_of(2)) else { break };
        at = next;
    }
    ar
}

/// Returns a member's name and size.
fn header(at: u64, window: &mut Window<'_>) -> Option<(Vec<u8>, u64)> {
    window.want(at, HEADER);
    window.pass(at.checked_add(HEADER)?);
    let header = window.get(at, HEADER).filter(|header| header.ends_with(b"`\n"))?;
    // At most ten digits, so sums of a few sizes cannot overflow.
    Some((header[..16].trim_ascii_end().to_vec(), decimal(&header[48..58])?))
}

fn decimal(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}
