//! Writes a layer in plain gzip and its ztoc, for tests: blocks end within bytes, refer to the 32 KiB before them, and
//! alternate with stored blocks. Unit tests include this file by `#[path]`, so it does not use `crate::`.

const WINDOW: usize = 32 << 10;
/// Content of a block.
const BLOCK: usize = 3000;
/// Length of the repetitions that a block of literals encodes.
const REPEATED: usize = 10;

/// Writes the bits of a deflate stream.
#[derive(Default)]
pub struct DeflateWriter {
    bytes: Vec<u8>,
    pending: u64,
    length: u32,
}

impl DeflateWriter {
    /// Writes the lowest bits of a number, from the lowest.
    pub fn bits(&mut self, value: u32, count: u32) {
        self.pending |= (u64::from(value) & ((1 << count) - 1)) << self.length;
        self.length += count;
        while self.length >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.length -= 8;
        }
    }

    /// Writes a Huffman code, from the highest bit.
    fn code(&mut self, code: u32, count: u32) {
        self.bits(code.reverse_bits() >> (32 - count), count);
    }

    fn align(&mut self) {
        self.bits(0, (8 - self.length) % 8);
    }

    /// A block with the fixed codes. `repeats`: ends with the content that was written 32 KiB before.
    pub fn block(&mut self, literals: &[u8], repeats: bool, is_last: bool) {
        self.bits(u32::from(is_last) | 0b010, 3);
        for literal in literals.iter().map(|literal| u32::from(*literal)) {
            match literal {
                0..144 => self.code(0x30 + literal, 8),
                _ => self.code(0x190 + literal - 144, 9),
            }
        }
        if repeats {
            self.code(REPEATED as u32 + 254 - 256, 7);
            self.code(29, 5);
            self.bits(WINDOW as u32 - 24577, 13);
        }
        self.code(0, 7);
    }

    pub fn stored(&mut self, content: &[u8]) {
        self.bits(0, 3);
        self.align();
        self.bits(content.len() as u32, 16);
        self.bits(!content.len() as u32, 16);
        self.bytes.extend_from_slice(content);
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.align();
        self.bytes
    }

    /// The first byte that the next block has for itself, and its bits in the byte before.
    fn position(&self) -> (u64, u8) {
        let bits = (8 - self.length) % 8;
        (self.bytes.len() as u64 + u64::from(bits > 0), bits as u8)
    }
}

/// A point from which a stream can be inflated.
#[derive(Clone)]
pub struct Checkpoint {
    pub stored: u64,
    pub content: u64,
    pub bits: u8,
    pub window: Vec<u8>,
}

/// Compresses `content`. After `span` bytes, a checkpoint follows the current block. `has_name`: the header contains a
/// file name. `members`: gzip members that the stream is divided into.
pub fn compress(content: &[u8], span: usize, has_name: bool, members: usize) -> (Vec<u8>, Vec<Checkpoint>) {
    let (mut writer, mut checkpoints) = (DeflateWriter::default(), Vec::<Checkpoint>::new());
    let mut at = 0;
    for part in content.chunks(content.len().div_ceil(members)) {
        writer.align();
        let flags = if has_name { 8 } else { 0 };
        writer.bytes.extend([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255]);
        writer.bytes.extend_from_slice(if has_name { b"layer\0" } else { b"" });
        let (start, end) = (at, at + part.len());
        while at < end {
            if checkpoints.last().is_none_or(|last| at - last.content as usize > span) {
                let mut window = vec![0; WINDOW.saturating_sub(at)];
                window.extend_from_slice(&content[at.saturating_sub(WINDOW)..at]);
                let (stored, bits) = writer.position();
                checkpoints.push(Checkpoint { stored, content: at as u64, bits, window });
            }
            let next = end.min(at + BLOCK);
            let block = &content[at..next];
            let literals = block.len().saturating_sub(REPEATED);
            let from = (at + literals).checked_sub(WINDOW).filter(|from| *from >= start);
            let repeats = from.is_some_and(|from| content[from..from + REPEATED] == block[literals..]);
            match (repeats, next < end) {
                (false, true) if at / BLOCK % 3 == 1 => writer.stored(block),
                (true, is_followed) => writer.block(&block[..literals], true, !is_followed),
                (false, is_followed) => writer.block(block, false, !is_followed),
            }
            at = next;
        }
        writer.align();
        let mut sum = flate2::Crc::new();
        sum.update(part);
        writer.bytes.extend(sum.sum().to_le_bytes());
        writer.bytes.extend(sum.amount().to_le_bytes());
    }
    (writer.finish(), checkpoints)
}

/// An entry of a ztoc.
#[derive(Clone)]
pub struct ZtocEntry {
    pub name: Vec<u8>,
    pub kind: &'static str,
    pub offset: i64,
    pub size: i64,
    pub target: Vec<u8>,
    pub mode: i64,
    pub uid: u32,
    pub gid: u32,
    pub records: Vec<(String, Vec<u8>)>,
}

/// A ztoc before it is written.
pub struct ZtocWriter {
    pub version: &'static str,
    pub stored: i64,
    pub content: i64,
    pub entries: Vec<ZtocEntry>,
    pub algorithm: u8,
    pub last_span: i32,
    pub digests: Vec<String>,
    pub checkpoints: Vec<Checkpoint>,
    /// Whether the first checkpoint is omitted, as in version 1.
    pub omits_first: bool,
}

impl ZtocWriter {
    /// `digest`: the digest of bytes.
    pub fn new(tar: &[u8], stored: &[u8], checkpoints: Vec<Checkpoint>, digest: fn(&[u8]) -> String) -> ZtocWriter {
        let starts = checkpoints.iter().map(|own| own.stored as usize - usize::from(own.bits > 0));
        let ends = checkpoints.iter().skip(1).map(|next| next.stored as usize).chain([stored.len()]);
        ZtocWriter {
            version: "0.9",
            stored: stored.len() as i64,
            content: tar.len() as i64,
            entries: entries(tar),
            algorithm: 1,
            last_span: checkpoints.len() as i32 - 1,
            digests: starts.zip(ends).map(|(start, end)| digest(&stored[start..end])).collect(),
            checkpoints,
            omits_first: false,
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut buffer = FlatBuffer(vec![0; 4]);
        let numbers = [self.stored.to_le_bytes(), self.content.to_le_bytes()];
        let fields = [None, None, Some(&numbers[0][..]), Some(&numbers[1]), None, None];
        let root = buffer.table(0, &fields);
        buffer.bytes(root[0], self.version.as_bytes());
        buffer.bytes(root[1], b"test");
        let toc = buffer.table(root[4], &[None]);
        for (slot, entry) in buffer.vector(toc[0], self.entries.len()).into_iter().zip(&self.entries) {
            let (offset, size) = (entry.offset.to_le_bytes(), entry.size.to_le_bytes());
            let (mode, uid, gid) = (entry.mode.to_le_bytes(), entry.uid.to_le_bytes(), entry.gid.to_le_bytes());
            let mut fields = [None; 14];
            fields[2] = Some(&offset[..]);
            fields[3] = Some(&size);
            fields[5] = Some(&mode);
            (fields[6], fields[7]) = (Some(&uid[..]), Some(&gid[..]));
            (fields[11], fields[12]) = (Some(&[0; 8][..]), Some(&[0; 8][..]));
            let own = buffer.table(slot, &fields);
            let texts = [&entry.name[..], entry.kind.as_bytes(), &entry.target, b"", b"", b"2006-01-02T15:04:05Z"];
            for (number, text) in [0, 1, 4, 8, 9, 10].into_iter().zip(texts) {
                buffer.bytes(own[number], text);
            }
            for (slot, (key, value)) in buffer.vector(own[13], entry.records.len()).into_iter().zip(&entry.records) {
                let record = buffer.table(slot, &[None, None]);
                buffer.bytes(record[0], key.as_bytes());
                buffer.bytes(record[1], value);
            }
        }
        let last = self.last_span.to_le_bytes();
        let compression = buffer.table(root[5], &[Some(&[self.algorithm]), Some(&last[..]), None, None]);
        for (slot, digest) in buffer.vector(compression[2], self.digests.len()).into_iter().zip(&self.digests) {
            buffer.bytes(slot, digest.as_bytes());
        }
        buffer.bytes(compression[3], &self.packed());
        buffer.0
    }

    fn packed(&self) -> Vec<u8> {
        let mut packed = (self.checkpoints.len() as u32).to_le_bytes().to_vec();
        packed.extend((4i64 << 20).to_le_bytes());
        for own in self.checkpoints.iter().skip(usize::from(self.omits_first)) {
            packed.extend(own.stored.to_le_bytes());
            packed.extend(own.content.to_le_bytes());
            packed.push(own.bits);
            packed.extend_from_slice(&own.window);
        }
        packed
    }
}

fn entries(tar: &[u8]) -> Vec<ZtocEntry> {
    let mut archive = tar::Archive::new(tar);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let records = entry.pax_extensions().unwrap().into_iter().flatten().map(|record| {
            let record = record.unwrap();
            (record.key().unwrap().to_string(), record.value_bytes().to_vec())
        });
        let records = records.collect();
        let kind = match entry.header().entry_type() {
            tar::EntryType::Directory => "dir",
            tar::EntryType::Symlink => "symlink",
            tar::EntryType::Link => "hardlink",
            tar::EntryType::Fifo => "fifo",
            _ => "reg",
        };
        ZtocEntry {
            name: entry.path_bytes().into_owned(),
            kind,
            offset: entry.raw_file_position() as i64,
            size: entry.size() as i64,
            target: entry.link_name_bytes().unwrap_or_default().into_owned(),
            mode: i64::from(entry.header().mode().unwrap()),
            uid: entry.header().uid().unwrap_or(0) as u32,
            gid: entry.header().gid().unwrap_or(0) as u32,
            records,
        }
    };
    archive.entries().unwrap().map(read).collect()
}

/// A buffer in which each offset leads to what is written after it.
struct FlatBuffer(Vec<u8>);

impl FlatBuffer {
    fn link(&mut self, slot: usize) {
        let distance = (self.0.len() - slot) as u32;
        self.0[slot..slot + 4].copy_from_slice(&distance.to_le_bytes());
    }

    /// Writes a table. `fields`: the bytes of numbers; `None`: an offset. Returns the positions of the fields.
    fn table(&mut self, slot: usize, fields: &[Option<&[u8]>]) -> Vec<usize> {
        let vtable = self.0.len();
        let sizes = || fields.iter().map(|field| field.map_or(4, <[u8]>::len));
        self.0.extend((4 + 2 * fields.len() as u16).to_le_bytes());
        self.0.extend((4 + sizes().sum::<usize>() as u16).to_le_bytes());
        let mut offset = 4;
        for size in sizes() {
            self.0.extend((offset as u16).to_le_bytes());
            offset += size;
        }
        self.link(slot);
        let back = (self.0.len() - vtable) as i32;
        self.0.extend(back.to_le_bytes());
        let mut positions = Vec::new();
        for field in fields {
            positions.push(self.0.len());
            self.0.extend_from_slice(field.unwrap_or(&[0; 4]));
        }
        positions
    }

    fn bytes(&mut self, slot: usize, bytes: &[u8]) {
        self.link(slot);
        self.0.extend((bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// Writes a list of offsets and returns their positions.
    fn vector(&mut self, slot: usize, length: usize) -> Vec<usize> {
        self.link(slot);
        self.0.extend((length as u32).to_le_bytes());
        let start = self.0.len();
        self.0.resize(start + 4 * length, 0);
        (0..length).map(|at| start + 4 * at).collect()
    }
}
