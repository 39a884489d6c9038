//! The names of a file's functions.

use super::binary::ElfBinary;

const SHT_SYMTAB: u32 = 2;
/// The type of a function's symbol. Source: System V ABI, "Symbol Table".
const STT_FUNC: u8 = 2;

impl<'b> ElfBinary<'b> {
    /// The function that contains `address`, according to the symbol tables.
    pub fn function(&self, address: u64) -> Option<&'b str> {
        let (machine, address) = (self.machine, self.machine.plain(address));
        let tables = [self.section(SHT_SYMTAB), Some(self.dynsym)];
        tables.into_iter().flatten().find_map(|table| {
            (0..table.count).map_while(|index| self.symbol(table, index)).find_map(|symbol| {
                let start = machine.plain(symbol.value);
                let is_inside = symbol.info & 0xf == STT_FUNC && address >= start && address - start < symbol.size;
                is_inside.then(|| self.name(table, symbol.name)).flatten()
            })
        })
    }

    /// The functions in the symbol table: their addresses and names.
    pub fn named_functions(&self) -> impl Iterator<Item = (u64, &'b str)> {
        let table = self.section(SHT_SYMTAB).unwrap_or_default();
        let symbols = (0..table.count).map_while(move |index| self.symbol(table, index));
        let functions = symbols.filter(|symbol| symbol.info & 0xf == STT_FUNC);
        functions.filter_map(move |symbol| Some((symbol.value, self.name(table, symbol.name)?)))
    }
}
