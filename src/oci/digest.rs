//! Content digests. [`Digest`] identifies bytes as stored, [`DiffId`] the uncompressed tar of a layer. They are
//! separate types so that one cannot be used in place of the other.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// `algorithm:hex` of bytes as stored. Only the algorithms that the spec registers: sha256 and sha512.
/// Source: OCI image-spec, descriptor.md, "Digests".
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest(String);

/// The digest of a layer's uncompressed tar, as `rootfs.diff_ids` lists it.
/// Source: OCI image-spec, config.md, "Layer DiffID".
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DiffId(pub Digest);

/// Error: the string is not a valid digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a digest; expected sha256:<64 hex digits> or sha512:<128 hex digits>")]
pub struct DigestError(pub String);

impl Digest {
    /// Computes the sha256 digest of `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Digest {
        Digest::from_sha256(&sha2::Sha256::digest(bytes))
    }

    /// Formats the 32 raw bytes of a sha256 hash.
    pub fn from_sha256(raw: &[u8]) -> Digest {
        Digest(format!("sha256:{}", to_hex(raw)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(algorithm, _)| algorithm)
    }

    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// The algorithm and the first 12 hex digits, for display: `sha256:51e0a3f2...`.
    pub fn short(&self) -> String {
        let hex = self.hex();
        format!("{}:{}", self.algorithm(), &hex[..hex.len().min(12)])
    }

    /// Computes the digest of `bytes` with the same algorithm.
    pub fn of_same_algorithm(&self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    pub fn hasher(&self) -> Hasher {
        match self.algorithm() {
            "sha512" => Hasher::sha512(),
            _ => Hasher::sha256(),
        }
    }
}

/// Bytes of one stream to hash before switching to the other: two SHA-256 blocks, chosen by measurement.
const AT_A_TIME: usize = 128;

/// A running hash that yields a [`Digest`].
pub enum Hasher {
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    pub fn sha256() -> Hasher {
        Hasher::Sha256(sha2::Sha256::new())
    }

    pub fn sha512() -> Hasher {
        Hasher::Sha512(Box::new(sha2::Sha512::new()))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hash) => hash.update(bytes),
            Hasher::Sha512(hash) => hash.update(bytes),
        }
    }

    /// Hashes two streams in turns. A round of SHA-256 depends on the previous one, so the processor can work on the
    /// other stream in between. This takes a quarter less time than hashing one stream after the other.
    pub fn update_both(&mut self, bytes: &[u8], other: &mut Hasher, others: &[u8]) {
        let common = bytes.len().min(others.len());
        let pieces = bytes[..common].chunks(AT_A_TIME).zip(others[..common].chunks(AT_A_TIME));
        for (piece, others_piece) in pieces {
            self.update(piece);
            other.update(others_piece);
        }
        self.update(&bytes[common..]);
        other.update(&others[common..]);
    }

    /// Reads to the end in pieces of 256 KiB and returns the digest and the number of bytes.
    pub fn read(mut self, reader: &mut impl Read) -> io::Result<(Digest, u64)> {
        let (mut size, mut buffer) = (0, vec![0; 256 << 10]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok((self.finish(), size)),
                Ok(count) => {
                    self.update(&buffer[..count]);
                    size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(hash) => Digest::from_sha256(&hash.finalize()),
            Hasher::Sha512(hash) => Digest(format!("sha512:{}", to_hex(&hash.finalize()))),
        }
    }
}

fn to_hex(raw: &[u8]) -> String {
    raw.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let parsed = oci_spec::image::Digest::from_str(text).map_err(|_| DigestError(text.to_string()))?;
        let length = match parsed.algorithm().as_ref() {
            "sha256" => 64,
            "sha512" => 128,
            _ => return Err(DigestError(text.to_string())),
        };
        let hex = parsed.digest();
        let is_hex = hex.len() == length && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if is_hex { Ok(Digest(text.to_string())) } else { Err(DigestError(text.to_string())) }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Digest, DigestError> {
        text.parse()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_round_trips_and_hashes_alike() {
        let digest = Digest::from_bytes(b"hello");
        assert_eq!(digest.to_string(), "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        let mut hasher = digest.hasher();
        hasher.update(b"he");
        hasher.update(b"llo");
        assert_eq!(hasher.finish(), digest);
        assert_eq!(digest.short(), "sha256:2cf24dba5fb0");
    }

    #[test]
    fn two_streams_in_turns_hash_like_one_after_the_other() {
        let bytes: Vec<u8> = (0..5000u32).map(|at| (at % 251) as u8).collect();
        for (first, second) in [(0, 0), (0, 300), (300, 1), (128, 128), (127, 4096), (5000, 4999)] {
            let (mut one, mut other) = (Hasher::sha256(), Hasher::sha512());
            for _ in 0..2 {
                one.update_both(&bytes[..first], &mut other, &bytes[..second]);
            }
            let (mut one_alone, mut other_alone) = (Hasher::sha256(), Hasher::sha512());
            for _ in 0..2 {
                one_alone.update(&bytes[..first]);
                other_alone.update(&bytes[..second]);
            }
            assert_eq!((one.finish(), other.finish()), (one_alone.finish(), other_alone.finish()));
        }
    }

    #[test]
    fn text_that_could_escape_a_blob_directory_is_not_a_digest() {
        for text in
            ["", "sha256", "sha256:", "sha256:../../etc/passwd", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:ABCD"]
        {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
        assert!(format!("sha256:{}", "G".repeat(64)).parse::<Digest>().is_err());
        assert!(format!("sha256:{}", "a".repeat(63)).parse::<Digest>().is_err());
    }
}
