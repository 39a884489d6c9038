//! Reads tables of a FlatBuffer. Every offset is checked, so a hostile buffer results in an error. Only the types that
//! a ztoc uses are supported. Source: FlatBuffers documentation, "FlatBuffer Internals".

use std::fmt;
use std::ops::Range;

/// Error: an offset leads out of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the table is malformed")
    }
}

impl From<Malformed> for String {
    fn from(error: Malformed) -> String {
        error.to_string()
    }
}

/// A table: fields that may be absent, at offsets that its vtable lists. Fields are numbered as in the schema.
#[derive(Clone, Copy)]
pub(super) struct Table<'b> {
    buffer: &'b [u8],
    at: usize,
    vtable: usize,
    vtable_bytes: usize,
}

/// A list of offsets to tables or strings.
#[derive(Clone, Copy)]
pub(super) struct Vector<'b> {
    buffer: &'b [u8],
    at: usize,
    len: usize,
}

/// Size of an offset, and of the length before a list.
const OFFSET: usize = 4;
/// Two lengths precede the offsets of the fields in a vtable.
const VTABLE_HEADER: usize = 4;

impl<'b> Table<'b> {
    pub fn root(buffer: &'b [u8]) -> Result<Table<'b>, Malformed> {
        Table::at(buffer, follow(buffer, 0)?)
    }

    fn at(buffer: &'b [u8], at: usize) -> Result<Table<'b>, Malformed> {
        let back = i64::from(i32::from_le_bytes(array(buffer, at)?));
        let vtable = usize::try_from(at as i64 - back).map_err(|_| Malformed)?;
        let vtable_bytes = usize::from(u16::from_le_bytes(array(buffer, vtable)?));
        Ok(Table { buffer, at, vtable, vtable_bytes })
    }

    /// The position of a field; `None` if it is absent.
    fn field(&self, number: usize) -> Result<Option<usize>, Malformed> {
        let slot = VTABLE_HEADER + 2 * number;
        if slot + 2 > self.vtable_bytes {
            return Ok(None);
        }
        let offset = usize::from(u16::from_le_bytes(array(self.buffer, self.vtable + slot)?));
        Ok((offset > 0).then_some(self.at + offset))
    }

    /// The little-endian bytes of a number, all zero if it is absent.
    fn number<const N: usize>(&self, number: usize) -> Result<[u8; N], Malformed> {
        self.field(number)?.map_or(Ok([0; N]), |at| array(self.buffer, at))
    }

    pub fn byte(&self, number: usize) -> Result<u8, Malformed> {
        self.number(number).map(u8::from_le_bytes)
    }

    pub fn int(&self, number: usize) -> Result<i32, Malformed> {
        self.number(number).map(i32::from_le_bytes)
    }

    pub fn unsigned(&self, number: usize) -> Result<u32, Malformed> {
        self.number(number).map(u32::from_le_bytes)
    }

    /// A `long` that must not be negative.
    pub fn size(&self, number: usize) -> Result<u64, Malformed> {
        u64::try_from(i64::from_le_bytes(self.number(number)?)).map_err(|_| Malformed)
    }

    /// A string or a list of bytes, empty if it is absent.
    pub fn bytes(&self, number: usize) -> Result<&'b [u8], Malformed> {
        self.byte_range(number).map(|range| &self.buffer[range])
    }

    /// The position of a list of bytes in the buffer.
    pub fn byte_range(&self, number: usize) -> Result<Range<usize>, Malformed> {
        self.field(number)?.map_or(Ok(0..0), |at| counted(self.buffer, follow(self.buffer, at)?, 1))
    }

    pub fn table(&self, number: usize) -> Result<Table<'b>, Malformed> {
        let at = self.field(number)?.ok_or(Malformed)?;
        Table::at(self.buffer, follow(self.buffer, at)?)
    }

    /// A list, empty if it is absent.
    pub fn vector(&self, number: usize) -> Result<Vector<'b>, Malformed> {
        let buffer = self.buffer;
        let Some(at) = self.field(number)? else { return Ok(Vector { buffer, at: 0, len: 0 }) };
        let range = counted(buffer, follow(buffer, at)?, OFFSET)?;
        Ok(Vector { buffer, at: range.start, len: range.len() / OFFSET })
    }
}

impl<'b> Vector<'b> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn tables(self) -> impl Iterator<Item = Result<Table<'b>, Malformed>> {
        self.offsets().map(move |at| Table::at(self.buffer, at?))
    }

    pub fn strings(self) -> impl Iterator<Item = Result<&'b [u8], Malformed>> {
        self.offsets().map(move |at| counted(self.buffer, at?, 1).map(|range| &self.buffer[range]))
    }

    fn offsets(self) -> impl Iterator<Item = Result<usize, Malformed>> {
        (0..self.len).map(move |index| follow(self.buffer, self.at + OFFSET * index))
    }
}

fn array<const N: usize>(buffer: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    let part = at.checked_add(N).and_then(|end| buffer.get(at..end));
    part.and_then(|part| part.try_into().ok()).ok_or(Malformed)
}

/// The position that the offset at `at` leads to. It is not checked yet.
fn follow(buffer: &[u8], at: usize) -> Result<usize, Malformed> {
    at.checked_add(u32::from_le_bytes(array(buffer, at)?) as usize).ok_or(Malformed)
}

/// The range of elements of `size` bytes that follow their number.
fn counted(buffer: &[u8], at: usize, size: usize) -> Result<Range<usize>, Malformed> {
    let bytes = (u32::from_le_bytes(array(buffer, at)?) as usize).checked_mul(size).ok_or(Malformed)?;
    let start = at + OFFSET;
    let end = start.checked_add(bytes).filter(|end| *end <= buffer.len()).ok_or(Malformed)?;
    Ok(start..end)
}
