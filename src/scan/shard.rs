//! A shard of a run's images, for one of several processes. All tags of a repository are in the same shard, because
//! they share layers. The shard of an image does not depend on the other images.

use std::fmt;
use std::str::FromStr;

use super::fingerprint::subject;
use crate::oci::Digest;

/// Part `number` of `count`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    pub number: u32,
    pub count: u32,
}

/// Error: the text is not a shard.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid shard {0:?}; expected I/N with I from 1 to N")]
pub struct ShardError(pub String);

impl Shard {
    /// All images.
    pub const WHOLE: Shard = Shard { number: 1, count: 1 };

    /// Whether the image of this name is in the shard.
    pub fn has(self, image: &str) -> bool {
        let hex = Digest::from_bytes(subject(image).as_bytes());
        // 60 bits of a digest spread evenly over any number of shards.
        let number = u64::from_str_radix(&hex.hex()[..15], 16).unwrap_or_default();
        number % u64::from(self.count.max(1)) == u64::from(self.number.saturating_sub(1))
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Shard, ShardError> {
        let parsed = text.split_once('/').and_then(|(number, count)| {
            Some(Shard { number: number.trim().parse().ok()?, count: count.trim().parse().ok()? })
        });
        let is_right = |shard: &Shard| (1..=shard.count).contains(&shard.number);
        parsed.filter(is_right).ok_or_else(|| ShardError(text.to_string()))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_is_in_one_shard_with_all_tags_of_its_repository() {
        let shards: Vec<Shard> = (1..=4).map(|number| Shard { number, count: 4 }).collect();
        let shard_of = |name: &str| {
            let has: Vec<u32> = shards.iter().filter(|shard| shard.has(name)).map(|shard| shard.number).collect();
            assert_eq!(has.len(), 1, "{name}");
            has[0]
        };
        let mut filled = [0; 4];
        for number in 0..200 {
            let name = format!("registry.example/team/app{number}");
            let of_tag = shard_of(&format!("{name}:v1"));
            filled[of_tag as usize - 1] += 1;
            assert_eq!(shard_of(&format!("{name}:v2")), of_tag);
            assert_eq!(shard_of(&format!("docker://{name}@sha256:{}", "a".repeat(64))), of_tag);
        }
        assert!(filled.iter().all(|count| (30..=70).contains(count)), "{filled:?}");
        assert!(Shard::WHOLE.has("./app.tar"));
    }

    #[test]
    fn a_shard_is_written_from_one_to_n() {
        assert_eq!("2/4".parse(), Ok(Shard { number: 2, count: 4 }));
        for text in ["0/4", "5/4", "1/0", "4", "", "-1/4", "1/4/2", "1/99999999999"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError(text.to_string())));
        }
    }
}
