//! Parses a tar header's fields as the engines' tar reader does, so that imgarch reads the files that engines unpack.
//! Source: POSIX pax, "ustar Interchange Format"; Go's archive/tar `parseNumeric`, which docker and containerd use.

use tar::Header;

/// Size of a header, and the unit of all lengths.
pub(crate) const BLOCK: usize = 512;

/// Range of the checksum field.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Compares the checksum with the sum of all bytes, the field itself counted as blanks. Old writers summed signed
/// bytes.
pub fn is_checksum_right(block: &[u8]) -> bool {
    let Some(stated) = number(&block[CHECKSUM]) else { return false };
    let unsigned = u64::from(sum(block) - sum(&block[CHECKSUM]) + 8 * u32::from(b' '));
    if unsigned == stated {
        return true;
    }
    let high = block.iter().filter(|byte| **byte >= 0x80).count() as u64;
    let high_in_field = block[CHECKSUM].iter().filter(|byte| **byte >= 0x80).count() as u64;
    unsigned.checked_sub(256 * (high - high_in_field)) == Some(stated)
}

/// The sum of all bytes. The sum of 128 bytes fits 16 bits, of which the processor adds many at once.
fn sum(bytes: &[u8]) -> u32 {
    let (parts, rest) = bytes.as_chunks::<128>();
    let of_part = |part: &[u8; 128]| part.iter().fold(0u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    let rest = rest.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    parts.iter().map(|part| u32::from(of_part(part))).sum::<u32>() + rest
}

/// Parses an octal field, which blanks or NULs may surround and which is 0 if empty, or a big-endian binary field,
/// which has its top bit set. `None` if it is neither, is negative or exceeds 63 bits.
#[inline]
pub(crate) fn number(field: &[u8]) -> Option<u64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // The next bit is the sign.
        let start = u64::from(first & 0x7f);
        let value = rest.iter().try_fold(start, |value, byte| Some(value.checked_mul(256)? | u64::from(*byte)));
        return value.filter(|value| first & 0x40 == 0 && *value <= i64::MAX as u64);
    }
    let mut rest = field;
    while let [b' ' | 0, others @ ..] = rest {
        rest = others;
    }
    let mut value = 0u64;
    while let [digit @ b'0'..=b'7', others @ ..] = rest {
        value = value.checked_mul(8)? | u64::from(digit - b'0');
        rest = others;
    }
    // Only blanks may follow the digits up to a NUL.
    while let [b' ', others @ ..] = rest {
        rest = others;
    }
    matches!(rest, [] | [0, ..]).then_some(value)
}

/// Bytes up to the first NUL.
#[inline]
pub(crate) fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|byte| *byte == 0).unwrap_or(field.len())]
}

/// Writes the header's name with its ustar prefix into `name`.
pub(crate) fn read_name(header: &Header, name: &mut Vec<u8>) {
    name.clear();
    if let Some(ustar) = header.as_ustar() {
        // Schily's star ends its prefix 24 bytes earlier, to store times, and marks that in the last bytes.
        let is_star = &header.as_bytes()[508..512] == b"tar\0";
        let prefix = text(if is_star { &ustar.prefix[..131] } else { &ustar.prefix });
        if !prefix.is_empty() {
            name.extend_from_slice(prefix);
            name.push(b'/');
        }
    }
    name.extend_from_slice(text(&header.as_old().name));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: &[u8], expected: Option<u64>) {
        assert_eq!(number(field), expected, "{}", field.escape_ascii());
    }

    #[test]
    fn numbers_of_every_writer_are_parsed() {
        check(b"0000755\0", Some(0o755));
        check(b"   755 \0", Some(0o755));
        check(b"755 \0junk", Some(0o755));
        check(b"\0\0\0\0\0\0\0\0", Some(0));
        check(b"        ", Some(0));
        check(b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Some(256));
        check(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX as u64));
        check(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None);
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None);
        check(b"0000799\0", None);
        check(b"12 34\0\0\0", None);
        check(b"-0000001", None);
        check(b"", None);
    }

    #[test]
    fn a_checksum_may_be_of_signed_bytes() {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[0] = 0xe9;
        header.set_cksum();
        assert!(is_checksum_right(header.as_bytes()));
        let signed = header.cksum().unwrap() - 256;
        header.as_mut_bytes()[CHECKSUM].copy_from_slice(format!("{signed:06o}\0 ").as_bytes());
        assert!(is_checksum_right(header.as_bytes()));
        header.as_old_mut().name[0] = b'e';
        assert!(!is_checksum_right(header.as_bytes()));
    }
}
