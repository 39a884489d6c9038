//! Parses the records of a PAX extended header. Source: POSIX pax, "pax Extended Header"; Go's archive/tar `parsePAX`,
//! whose rules for malformed headers the engines share; GNU tar manual, "Storing Sparse Files".

use crate::platform::FileCapabilities;

/// The error for malformed records; engines reject the layer too.
pub(crate) const MALFORMED: &str = "malformed PAX header";

/// The records that imgarch uses, for the entry that follows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    /// The file's `security.capability`.
    pub capabilities: Option<FileCapabilities>,
    pub sparse: PaxSparse,
}

/// GNU tar's three formats of a sparse file in PAX records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PaxSparse {
    pub major: Option<Vec<u8>>,
    pub minor: Option<Vec<u8>>,
    pub name: Option<Vec<u8>>,
    /// The file's size, holes included.
    pub size: Option<u64>,
    /// Alternating offsets and lengths; versions 0.0 and 0.1.
    pub map: Vec<u64>,
}

/// Where a sparse file's map is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapPlace {
    Records,
    Data,
}

impl PaxSparse {
    /// `None` if it is not a sparse file, or has an unknown version.
    pub fn map_place(&self) -> Option<MapPlace> {
        match (self.major.as_deref(), self.minor.as_deref()) {
            (Some(b"0"), Some(b"0" | b"1")) => Some(MapPlace::Records),
            (Some(b"1"), Some(b"0")) => Some(MapPlace::Data),
            (None, None) if !self.map.is_empty() => Some(MapPlace::Records),
            _ => None,
        }
    }
}

impl Pax {
    /// Parses `"%d %s=%s\n"` records. An empty value means that the plain header's value counts.
    pub fn parse(mut records: &[u8]) -> Result<Pax, &'static str> {
        let mut pax = Pax::default();
        while !records.is_empty() {
            let (record, rest) = split_record(records).ok_or(MALFORMED)?;
            records = rest;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(MALFORMED)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            if key.is_empty() || key.contains(&0) {
                return Err(MALFORMED);
            }
            pax.set(key, value)?;
        }
        if !pax.sparse.map.len().is_multiple_of(2) {
            return Err(MALFORMED);
        }
        Ok(pax)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let number = || if value.is_empty() { Ok(None) } else { decimal(value).map(Some).ok_or(MALFORMED) };
        let name = || match value {
            [] => Ok(None),
            _ if value.contains(&0) => Err(MALFORMED),
            _ => Ok(Some(value.to_vec())),
        };
        match key {
            b"path" => self.path = name()?,
            b"linkpath" => self.link = name()?,
            b"size" => self.size = number()?,
            b"uid" => self.uid = number()?,
            b"gid" => self.gid = number()?,
            b"SCHILY.xattr.security.capability" => {
                self.capabilities = Some(value).filter(|value| !value.is_empty()).map(FileCapabilities::parse);
            }
            b"GNU.sparse.major" => self.sparse.major = Some(value.to_vec()),
            b"GNU.sparse.minor" => self.sparse.minor = Some(value.to_vec()),
            b"GNU.sparse.name" => self.sparse.name = name()?,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.size = number()?,
            b"GNU.sparse.offset" if self.sparse.map.len().is_multiple_of(2) => {
                self.sparse.map.push(decimal(value).ok_or(MALFORMED)?);
            }
            b"GNU.sparse.numbytes" if !self.sparse.map.len().is_multiple_of(2) => {
                self.sparse.map.push(decimal(value).ok_or(MALFORMED)?);
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => return Err(MALFORMED),
            b"GNU.sparse.map" if value.is_empty() => {}
            b"GNU.sparse.map" => {
                let numbers = value.split(|byte| *byte == b',').map(decimal).collect::<Option<Vec<u64>>>();
                self.sparse.map = numbers.ok_or(MALFORMED)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Splits off the first record's `key=value`. A record's length includes the digits of the length itself.
fn split_record(records: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = records.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&records[..blank])?).ok()?;
    if length > records.len() || length < blank + 3 || records[length - 1] != b'\n' {
        return None;
    }
    Some((&records[blank + 1..length - 1], &records[length..]))
}

/// A non-negative decimal number that fits 63 bits.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let value = text.iter().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })?;
    (value <= i64::MAX as u64).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(records: &[u8], expected: Result<Pax, &'static str>) {
        assert_eq!(Pax::parse(records), expected, "{}", records.escape_ascii());
    }

    #[test]
    fn records_override_the_header() {
        let pax = Pax { path: Some(b"a=b".to_vec()), size: Some(7), ..Pax::default() };
        check(b"12 path=a=b\n10 size=7\n", Ok(pax));
        check(b"", Ok(Pax::default()));
        check(b"8 path=\n", Ok(Pax::default()));
        check(b"20 mtime=1234567.25\n", Ok(Pax::default()));
        let capable = Pax { capabilities: Some(FileCapabilities::Malformed), ..Pax::default() };
        check(b"38 SCHILY.xattr.security.capability=\0\n", Ok(capable));
    }

    #[test]
    fn newlines_in_a_name_are_part_of_it() {
        check(b"12 path=a\nb\n", Ok(Pax { path: Some(b"a\nb".to_vec()), ..Pax::default() }));
    }

    #[test]
    fn records_that_engines_reject_are_rejected() {
        for records in [
            &b"path=a\n"[..],
            b"99 path=a\n",
            b"9 path=ab\n",
            b"3 a\n",
            b"11 path=a\0b\n",
            b"12 size=abc\n",
            b"11 size=-1\n",
            b"5 =a\n",
            b"0 \n",
            b"18446744073709551616 a=b\n",
            b"23 GNU.sparse.offset=1\n",
            b"24 GNU.sparse.numbytes=1\n",
        ] {
            check(records, Err(MALFORMED));
        }
    }

    #[test]
    fn sparse_maps_come_as_pairs_or_as_one_list() {
        let of = |map: &[u64], major: &str, minor: &str| PaxSparse {
            major: (!major.is_empty()).then(|| major.into()),
            minor: (!minor.is_empty()).then(|| minor.into()),
            map: map.to_vec(),
            ..PaxSparse::default()
        };
        let pairs = b"23 GNU.sparse.offset=0\n25 GNU.sparse.numbytes=5\n";
        check(pairs, Ok(Pax { sparse: of(&[0, 5], "", ""), ..Pax::default() }));
        assert_eq!(of(&[0, 5], "", "").map_place(), Some(MapPlace::Records));
        let list = b"22 GNU.sparse.major=0\n22 GNU.sparse.minor=1\n26 GNU.sparse.map=0,5,9,1\n";
        check(list, Ok(Pax { sparse: of(&[0, 5, 9, 1], "0", "1"), ..Pax::default() }));
        assert_eq!(of(&[], "1", "0").map_place(), Some(MapPlace::Data));
        assert_eq!(of(&[], "2", "0").map_place(), None);
        assert_eq!(of(&[], "", "").map_place(), None);
    }
}
