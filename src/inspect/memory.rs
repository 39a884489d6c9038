//! Estimates how much memory a file's kind uses, for the memory limit of an image. Lengths are counted, not capacities,
//! so the estimate is within a factor of two of the allocated memory.

use super::{
    Ar, Dynamic, Elf, FileKind, LoaderDirectories, MachO, Mention, NativeKind, NpmPackage, Pe, ShebangFile, Symbols,
    TextStart, Zip,
};

impl FileKind {
    /// Size on the heap in bytes.
    pub fn heap_bytes(&self) -> usize {
        match self {
            FileKind::Elf(elf) => elf_bytes(elf),
            FileKind::Script(script) => script_bytes(script),
            FileKind::MachO(macho) => size_of::<MachO>() + size_of_val(&*macho.cpus),
            FileKind::Pe(_) => size_of::<Pe>(),
            FileKind::Ar(ar) => size_of::<Ar>() + size_of_val(&*ar.arches),
            FileKind::Zip(zip) => zip_bytes(zip),
            FileKind::Text(TextStart::ErrorPage(line)) => size_of::<String>() + line.len(),
            FileKind::Wheel(tags) | FileKind::OptionalImports(tags) => size_of::<Vec<String>>() + strings(tags),
            FileKind::NpmPackage(package) => npm_bytes(package),
            FileKind::Mentions(found) => {
                let names = found.iter().map(|mention| size_of::<Mention>() + mention.name.len());
                size_of::<Vec<Mention>>() + names.sum::<usize>()
            }
            FileKind::Config(text) => size_of::<Box<[u8]>>() + text.len(),
            FileKind::Text(
                TextStart::Plain | TextStart::BomShebang | TextStart::BlankShebang | TextStart::Source(_),
            )
            | FileKind::Empty
            | FileKind::Wasm
            | FileKind::JavaClass
            | FileKind::Packed(_)
            | FileKind::LlvmBitcode
            | FileKind::LfsPointer
            | FileKind::Html
            | FileKind::Beam(_)
            | FileKind::Data => 0,
        }
    }
}

fn strings(list: &[String]) -> usize {
    list.iter().map(|text| size_of::<String>() + text.len()).sum()
}

fn optional(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

fn elf_bytes(elf: &Elf) -> usize {
    let go = elf.go.as_ref().map_or(0, |go| {
        let settings = go.settings.iter().map(|(key, value)| size_of::<(String, String)>() + key.len() + value.len());
        size_of_val(&**go) + go.version.len() + settings.sum::<usize>()
    });
    let code = elf.code.as_ref().map_or(0, |code| {
        let uses = code.certain.values().chain(code.probable.values());
        uses.map(|at| size_of_val(at) + at.mnemonic.len() + optional(&at.symbol)).sum()
    });
    size_of::<Elf>()
        + code
        + size_of_val(&*elf.head)
        + size_of_val(&*elf.segments)
        + elf.interp.as_ref().map_or(0, Vec::len)
        + elf.property.as_ref().map_or(0, Vec::len)
        + optional(&elf.isa.riscv)
        + elf.dynamic.as_ref().map_or(0, |dynamic| dynamic_bytes(dynamic))
        + go
        + elf.frozen.iter().flatten().map(elf_bytes).sum::<usize>()
}

fn dynamic_bytes(dynamic: &Dynamic) -> usize {
    let wants = dynamic.wants.iter().map(|(library, versions)| {
        let versions = versions.iter().map(|(version, _)| size_of::<(String, bool)>() + version.len());
        size_of::<(String, Vec<(String, bool)>)>() + library.len() + versions.sum::<usize>()
    });
    size_of::<Dynamic>()
        + strings(&dynamic.needed)
        + [&dynamic.soname, &dynamic.rpath, &dynamic.runpath].into_iter().map(optional).sum::<usize>()
        + wants.sum::<usize>()
        + dynamic.offers.as_deref().map_or(0, strings)
        + dynamic
            .symbols
            .as_ref()
            .map_or(0, |symbols| size_of::<Symbols>() + symbols.undefined.len() + size_of_val(&*symbols.defined))
        + dynamic.undefined.as_deref().map_or(0, str::len)
        + dynamic
            .directories
            .as_ref()
            .map_or(0, |own| size_of::<LoaderDirectories>() + strings(&own.search) + optional(&own.cache))
}

fn script_bytes(script: &ShebangFile) -> usize {
    let shebang = script
        .shebang
        .as_ref()
        .map_or(0, |shebang| shebang.interpreter.len() + shebang.argument.as_ref().map_or(0, Vec::len));
    let zip = script.zip.as_ref().map_or(0, |zip| zip_bytes(zip));
    size_of::<ShebangFile>() + shebang + script.text.len() + zip
}

fn zip_bytes(zip: &Zip) -> usize {
    let library = |native: &NativeKind| match native {
        NativeKind::Elf { library, .. } => library.as_ref().map_or(0, |library| elf_bytes(library)),
        NativeKind::MachO | NativeKind::Pe { .. } => 0,
    };
    let natives = zip.natives.iter().map(|native| size_of_val(native) + native.0.len() + library(&native.1));
    size_of::<Zip>() + natives.sum::<usize>() + strings(&zip.wheel_tags)
}

fn npm_bytes(package: &NpmPackage) -> usize {
    let lists = [&package.os, &package.cpu, &package.libc, &package.optional, &package.soft];
    size_of::<NpmPackage>()
        + package.name.len()
        + optional(&package.bin)
        + lists.into_iter().map(|list| strings(list)).sum::<usize>()
        + package
            .scripts
            .iter()
            .map(|(name, text)| size_of::<(String, String)>() + name.len() + text.len())
            .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_uses_at_least_the_bytes_kept_of_its_file() {
        let config = FileKind::Config(Box::new(vec![0; 5000].into()));
        assert!((5000..6000).contains(&config.heap_bytes()));
        let elf = crate::inspect::elf_builder::ElfBuilder::arm64().interp("/lib/ld.so").needed("libc.so.6").build();
        let kind = crate::inspect::inspect(b"bin/app", elf.len() as u64, true, &mut &elf[..]);
        assert!((300..4000).contains(&kind.heap_bytes()), "{}", kind.heap_bytes());
        assert_eq!(FileKind::Data.heap_bytes(), 0);
    }
}
