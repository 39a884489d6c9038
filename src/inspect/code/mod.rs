//! Finds the CPU features that a program's code needs as soon as it is loaded: the instructions on paths that its entry
//! point, its constructors and its module entry always take, and those on paths that they probably take. Code that a
//! CPU check guards does not count. Total and bounded: hostile code ends the search, never the program.

mod arm;
mod arm64;
mod binary;
mod blocks;
mod calls;
mod decoder;
mod entries;
mod graph;
mod layout;
mod search;
mod spread;
mod steps;
mod symbols;
mod x86;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::platform::CpuFeature;
pub(super) use binary::{ElfBinary, Pointer};
use layout::DecodedArch;
use search::{CodeSearch, DecodeBudget};

/// Maximum number of instructions that are decoded per file. Of 5,000 files, among them Chromium and LLVM, none executes
/// more than 240,000 instructions in functions that are certainly called.
const BUDGET: DecodeBudget = DecodeBudget { certain: 2_000_000, probable: 40_000 };

/// The instructions that each byte of code adds to a file's budget, and the smallest budget: the time for an image is
/// proportional to its size, even if its functions overlap.
const PER_BYTE: usize = 2;
const LEAST: usize = 1 << 12;

/// An instruction that needs a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeUse {
    /// Address in the file's address space, as in `st_value` and objdump's output.
    pub address: u64,
    /// Lower case, in the syntax of GNU as.
    pub mnemonic: String,
    /// The root from which it is reached.
    pub root: CodeRoot,
    /// The function that contains it, if a symbol table names it.
    pub symbol: Option<String>,
    /// Its place among the file's certain or probable ones, in the order of execution.
    pub order: u32,
}

/// A place at which a runtime enters a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CodeRoot {
    /// `e_entry` and, from there, `main`.
    Entry,
    /// DT_INIT or an entry of DT_INIT_ARRAY.
    Constructor,
    /// The exported function that a language's runtime calls: `PyInit_x`, `JNI_OnLoad`.
    Module(String),
    /// All of its code: it was compiled for the feature as a whole.
    Everywhere,
}

/// The features that a file's code needs, each with the first instruction that needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeNeeds {
    /// Executed every time the root is.
    pub certain: BTreeMap<CpuFeature, CodeUse>,
    /// Executed on a path that no CPU check guards.
    pub probable: BTreeMap<CpuFeature, CodeUse>,
    /// Whether the search ended before all code that is certainly executed was decoded.
    pub is_partial: bool,
}

/// Searches `bytes`, a whole file. `None` if it is not an x86-64, AArch64 or 32-bit Arm program or library.
pub fn needs(bytes: &[u8]) -> Option<CodeNeeds> {
    needs_within(bytes, BUDGET)
}

fn needs_within(bytes: &[u8], most: DecodeBudget) -> Option<CodeNeeds> {
    let binary = ElfBinary::parse(bytes)?;
    let code: usize = binary.segments().iter().map(|(_, bytes)| bytes.len()).sum();
    let limit = LEAST.saturating_add(code.saturating_mul(PER_BYTE));
    let budget = DecodeBudget { certain: most.certain.min(limit), probable: most.probable.min(limit) };
    let mut search = CodeSearch::new(&binary, budget);
    for (root, address) in binary.roots() {
        search.enter(root, address);
    }
    Some(search.finish())
}

/// Maximum bytes of a file that are kept in memory for the search. A larger file is searched without its symbols, if its
/// segments are within this limit.
const FILE_BYTES: usize = 1 << 30;

/// Bytes of a file from which on only one thread at a time keeps a file, so that files in several layers do not add up.
const LARGE_BYTES: usize = 64 << 20;

/// Held while a file of more than [`LARGE_BYTES`] is kept.
static LARGE_FILE: Mutex<()> = Mutex::new(());

/// Bytes that show a file's architecture.
const IDENT_BYTES: usize = 20;

/// Maximum bytes that a thread's buffer keeps allocated between two files.
const SPARE_BYTES: usize = 32 << 20;

thread_local! {
    /// The buffer of the last file, so that its memory is used again.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A reader that keeps the bytes of an ELF file whose code is searched, and nothing of other files.
pub struct KeptCode<'r> {
    reader: &'r mut dyn BufRead,
    bytes: Vec<u8>,
    state: KeepState,
    /// Maximum bytes to keep.
    limit: usize,
    /// Bytes from which on the file has to be the only one.
    large: usize,
    turn: Option<MutexGuard<'static, ()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeepState {
    /// Fewer than [`IDENT_BYTES`] bytes have been read.
    Open,
    Wanted,
    /// The segments have been read. The rest of the file is not kept.
    Enough,
    /// Another kind of file.
    NotSearched,
    /// The segments have more bytes than the limit.
    TooLarge,
}

impl<'r> KeptCode<'r> {
    pub fn new(reader: &'r mut dyn BufRead) -> KeptCode<'r> {
        KeptCode {
            reader,
            bytes: SPARE.take(),
            state: KeepState::Open,
            limit: FILE_BYTES,
            large: LARGE_BYTES,
            turn: None,
        }
    }

    /// Reads the file to its end and searches its code.
    pub fn needs(&mut self) -> Option<CodeNeeds> {
        if self.state == KeepState::Wanted {
            // Up to the limit, without a copy in between.
            for end in [self.large.min(self.limit), self.limit] {
                let room = end.saturating_sub(self.bytes.len());
                self.keep_turn(room);
                let read = (&mut *self.reader).take(room as u64).read_to_end(&mut self.bytes).ok()?;
                if read < room {
                    break;
                }
            }
        }
        let mut rest = [0; 64 << 10];
        while self.state == KeepState::Wanted {
            match self.read(&mut rest) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        match self.state {
            KeepState::Wanted | KeepState::Enough => Some(needs(&self.bytes).unwrap_or_default()),
            KeepState::Open | KeepState::NotSearched => None,
            KeepState::TooLarge => Some(CodeNeeds { is_partial: true, ..CodeNeeds::default() }),
        }
    }
}

impl Drop for KeptCode<'_> {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.shrink_to(SPARE_BYTES);
        SPARE.set(bytes);
    }
}

impl KeptCode<'_> {
    /// Waits until no other large file is kept, if `amount` further bytes make this one large.
    fn keep_turn(&mut self, amount: usize) {
        if self.turn.is_none() && self.bytes.len() + amount > self.large {
            self.turn = Some(LARGE_FILE.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Keeps the next `amount` bytes, and passes them.
    fn keep(&mut self, amount: usize) -> io::Result<()> {
        if matches!(self.state, KeepState::Open | KeepState::Wanted) {
            if self.bytes.len() + amount > self.limit {
                let end = ElfBinary::parse(&self.bytes).map(|binary| binary.loaded_end());
                match end {
                    Some(end) if end <= self.bytes.len() as u64 => self.state = KeepState::Enough,
                    Some(_) | None => (self.state, self.bytes) = (KeepState::TooLarge, Vec::new()),
                }
            } else {
                self.keep_turn(amount);
                self.bytes.extend_from_slice(&self.reader.fill_buf()?[..amount]);
            }
        }
        self.reader.consume(amount);
        if self.state == KeepState::Open && self.bytes.len() >= IDENT_BYTES {
            let is_searched = DecodedArch::from_ident(&self.bytes).is_some();
            self.state = if is_searched { KeepState::Wanted } else { KeepState::NotSearched };
            if !is_searched {
                self.bytes.clear();
            }
        }
        Ok(())
    }
}

impl Read for KeptCode<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.fill_buf()?.read(buffer)?;
        self.keep(len)?;
        Ok(len)
    }
}

impl BufRead for KeptCode<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // The bytes are in the buffer, so that nothing is read.
        self.keep(amount).ok();
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
