//! Reads the dynamic symbols of a program or library from the kept parts of its tables. musl's loader looks up and
//! finds these symbols.

use goblin::container::Ctx;
use goblin::elf::sym::{STB_GLOBAL, STB_GNU_UNIQUE, STB_WEAK, STT_TLS, Sym};
use scroll::Pread;

use super::kind::{Symbols, symbol_hash};
use super::window::Window;

/// The largest C++ libraries export about ten thousand symbols.
const SYMBOL_COUNT: u64 = 128 << 10;
/// Maximum bytes for the names of required symbols. A program has a few KiB.
const NAMES_LIMIT: usize = 256 << 10;

/// File offsets of the tables, if they exist.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SymbolTable {
    pub entries: Option<u64>,
    pub hash: Option<u64>,
    pub gnu_hash: Option<u64>,
}

impl SymbolTable {
    /// Reads the symbols. `name_at` returns the name at an offset of the string table. `None` if a table is missing or
    /// was not kept, or if there are too many symbols.
    /// Source: musl's ldso/dynlink.c `find_sym2`, `count_syms`.
    pub fn read<'n>(
        &self,
        ctx: Ctx,
        window: &Window<'_>,
        name_at: &dyn Fn(u64) -> Option<&'n [u8]>,
    ) -> Option<Symbols> {
        let count = self.count(ctx, window).filter(|count| *count <= SYMBOL_COUNT)?;
        let bytes = window.from(self.entries?)?;
        let (mut undefined, mut defined) = (String::new(), Vec::new());
        let mut offset = 0;
        for index in 0..count {
            let symbol: Sym = bytes.gread_with(&mut offset, ctx).ok()?;
            let bind = symbol.st_info >> 4;
            if index == 0 || symbol.st_name == 0 || !matches!(bind, STB_GLOBAL | STB_WEAK | STB_GNU_UNIQUE) {
                continue;
            }
            let is_wanted = symbol.st_shndx == 0;
            if is_wanted && bind == STB_WEAK || !is_wanted && symbol.st_value == 0 && symbol.st_info & 15 != STT_TLS {
                continue;
            }
            let name = name_at(symbol.st_name as u64)?;
            match is_wanted {
                true => {
                    undefined.push_str(&String::from_utf8_lossy(name));
                    undefined.push('\n');
                }
                false => defined.push(symbol_hash(name)),
            }
            if undefined.len() > NAMES_LIMIT {
                return None;
            }
        }
        defined.sort_unstable();
        Some(Symbols { undefined: undefined.into(), defined: defined.into() })
    }

    /// The number of symbols, from the number of chains in DT_HASH or the end of the last chain in DT_GNU_HASH.
    fn count(&self, ctx: Ctx, window: &Window<'_>) -> Option<u64> {
        let word = |bytes: &[u8], index: u64| -> Option<u32> {
            bytes.pread_with(usize::try_from(index.checked_mul(4)?).ok()?, ctx.le).ok()
        };
        // On Alpha and s390x, DT_HASH has words of eight bytes, but DT_GNU_HASH does not.
        if let Some(bytes) = self.hash.filter(|_| self.gnu_hash.is_none()).and_then(|offset| window.from(offset)) {
            return word(bytes, 1).map(u64::from);
        }
        let bytes = window.from(self.gnu_hash?)?;
        let (buckets, first, bloom) = (word(bytes, 0)?, word(bytes, 1)?, word(bytes, 2)?);
        let bloom_words = if ctx.container.is_big() { 2 } else { 1 };
        let table = 4 + u64::from(bloom) * bloom_words;
        // Reading only some of the buckets would miss symbols.
        if u64::from(buckets) > SYMBOL_COUNT {
            return None;
        }
        let mut last = 0;
        for bucket in 0..u64::from(buckets) {
            last = last.max(word(bytes, table + bucket)?);
        }
        if last < first {
            return Some(u64::from(first));
        }
        let chains = table + u64::from(buckets);
        let mut index = u64::from(last);
        while word(bytes, chains + (index - u64::from(first)))? & 1 == 0 {
            index += 1;
        }
        Some(index + 1)
    }
}
