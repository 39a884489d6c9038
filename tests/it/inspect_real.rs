//! Compares `inspect` with readelf on real programs of this machine. With `IMGARCH_TEST_ROOTS=/usr:/opt`, compares
//! every ELF file below those directories; otherwise a few hundred.

use crate::kit::machine::{self, Need};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use imgarch::inspect::{Elf, FileKind, inspect};

/// The facts that both tools report about a file, in one form.
#[derive(Debug, Default, PartialEq)]
struct Facts {
    interp: Option<String>,
    needed: Vec<String>,
    soname: Option<String>,
    rpath: Option<String>,
    runpath: Option<String>,
    wants: Vec<(String, Vec<(String, bool)>)>,
    offers: Vec<String>,
    x86_needed: Option<u32>,
    arm_arch: Option<String>,
    arm_vfp_args: bool,
    riscv: Option<String>,
}

/// The tables of every program smaller than this are kept.
const LARGE: u64 = 64 << 20;

fn ours(elf: &Elf) -> Facts {
    let dynamic = elf.dynamic.as_deref().cloned().unwrap_or_default();
    let arm = elf.isa.arm.unwrap_or_default();
    let names = ["Pre-v4", "v4", "v4T", "v5T", "v5TE", "v5TEJ", "v6", "v6KZ", "v6T2", "v6K", "v7", "v6-M"];
    Facts {
        interp: elf.loader().map(|path| String::from_utf8_lossy(path).into_owned()),
        needed: dynamic.needed,
        soname: dynamic.soname,
        rpath: dynamic.rpath,
        runpath: dynamic.runpath,
        wants: dynamic.wants,
        offers: dynamic.offers.unwrap_or_default(),
        x86_needed: elf.isa.x86_needed,
        arm_arch: arm.cpu_arch.map(|arch| names.get(usize::from(arch)).unwrap_or(&"later").to_string()),
        arm_vfp_args: arm.vfp_args == 1,
        riscv: elf.isa.riscv.clone(),
    }
}

fn readelf(path: &Path) -> Option<Facts> {
    let output = Command::new("readelf").args(["-l", "-d", "-V", "-n", "-A", "-W"]).arg(path).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut facts = Facts::default();
    let within = |line: &str, before: &str, end: char| {
        let rest = &line[line.find(before)? + before.len()..];
        Some(rest[..rest.find(end)?].to_string())
    };
    let is_base = |line: &str| line.contains("Flags: BASE");
    let mut section = "";
    for line in text.lines() {
        let line = line.trim();
        section = if line.starts_with("Version needs") {
            "needs"
        } else if line.starts_with("Version definition") {
            "defines"
        } else if line.starts_with("Version symbols") || line.is_empty() {
            ""
        } else {
            section
        };
        facts.interp = facts.interp.or_else(|| within(line, "interpreter: ", ']'));
        facts.needed.extend(within(line, "Shared library: [", ']'));
        facts.soname = facts.soname.or_else(|| within(line, "Library soname: [", ']'));
        facts.rpath = facts.rpath.or_else(|| within(line, "Library rpath: [", ']'));
        facts.runpath = facts.runpath.or_else(|| within(line, "Library runpath: [", ']'));
        let name = |before: &str| line.split_once(before).map(|(_, rest)| rest.split_whitespace().next().unwrap_or(""));
        if section == "needs" {
            if let Some(library) = name("File: ") {
                facts.wants.push((library.to_string(), Vec::new()));
            } else if let (Some(version), Some(last)) = (name("Name: "), facts.wants.last_mut()) {
                last.1.push((version.to_string(), line.contains("Flags: WEAK")));
            }
        }
        if section == "defines" && line.contains("Rev: ") && !is_base(line) {
            facts.offers.extend(name("Name: ").map(str::to_string));
        }
        if let Some((_, levels)) = line.split_once("x86 ISA needed: ") {
            let bit = |level: &str| match level.trim() {
                "x86-64-baseline" => 1,
                "x86-64-v2" => 2,
                "x86-64-v3" => 4,
                "x86-64-v4" => 8,
                _ => 0,
            };
            facts.x86_needed = facts.x86_needed.or(Some(levels.split(", ").map(bit).sum()));
        }
        facts.arm_arch = facts.arm_arch.or_else(|| name("Tag_CPU_arch: ").map(str::to_string));
        facts.arm_vfp_args |= line == "Tag_ABI_VFP_args: VFP registers";
        facts.riscv = facts.riscv.or_else(|| within(line, "Tag_RISCV_arch: \"", '"'));
    }
    Some(facts)
}

fn elf_files(dir: &Path, limit: usize, found: &mut BTreeMap<PathBuf, u64>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let Ok(metadata) = fs::symlink_metadata(entry.path()) else { continue };
        if found.len() >= limit {
            return;
        }
        if metadata.is_dir() {
            elf_files(&entry.path(), limit, found);
        } else if metadata.is_file() && metadata.len() >= 64 {
            let mut magic = [0; 4];
            let read = File::open(entry.path()).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
            if read.is_ok() && magic == *b"\x7fELF" {
                found.insert(entry.path(), metadata.len());
            }
        }
    }
}

#[test]
fn readelf_agrees_on_this_machines_programs() {
    let mut files = BTreeMap::new();
    match std::env::var("IMGARCH_TEST_ROOTS") {
        Ok(roots) => roots.split(':').for_each(|root| elf_files(Path::new(root), usize::MAX, &mut files)),
        Err(_) => {
            for root in
                ["/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/aarch64-linux-gnu/lib"]
            {
                let mut some = BTreeMap::new();
                elf_files(Path::new(root), 60, &mut some);
                files.append(&mut some);
            }
            for root in ["/usr/arm-linux-gnueabihf/lib", "/usr/riscv64-linux-gnu/lib", "/usr/s390x-linux-gnu/lib"] {
                let mut some = BTreeMap::new();
                elf_files(Path::new(root), 20, &mut some);
                files.append(&mut some);
            }
        }
    }
    let test = "readelf_agrees_on_this_machines_programs";
    if !machine::has(test, &[Need::Readelf]) {
        return;
    }
    if files.is_empty() {
        return machine::skip(test, "no ELF files on this machine");
    }
    let (mut compared, mut differences) = (0, Vec::new());
    for (path, size) in &files {
        let name = path.strip_prefix("/").unwrap().as_os_str().as_encoded_bytes();
        let FileKind::Elf(elf) = inspect(name, *size, true, &mut BufReader::new(File::open(path).unwrap())) else {
            panic!("{} is not an ELF file", path.display());
        };
        // Objects, cores and detached debug files have no content at their program headers' offsets.
        if !matches!(elf.e_type, 2 | 3) || elf.is_debug_only {
            continue;
        }
        // Larger programs may have larger tables than are kept, and must be marked as partial.
        if *size > LARGE && elf.dynamic.as_ref().is_some_and(|dynamic| dynamic.is_partial) {
            eprintln!("partial: {}", path.display());
            continue;
        }
        let (ours, expected) = (ours(&elf), readelf(path).unwrap());
        compared += 1;
        if ours != expected || elf.dynamic.as_ref().is_some_and(|dynamic| dynamic.is_partial) {
            differences.push(format!("{}\n  ours    {ours:?}\n  readelf {expected:?}", path.display()));
        }
    }
    assert!(differences.is_empty(), "{} of {compared} differ:\n{}", differences.len(), differences.join("\n"));
    eprintln!("{compared} programs compared");
}

#[test]
fn go_programs_settings_are_found() {
    let mut seen = 0;
    for path in ["/usr/bin/docker", "/usr/bin/containerd", "/usr/bin/runc", "/usr/sbin/dockerd", "/usr/sbin/runc"] {
        let Ok(bytes) = fs::read(path) else { continue };
        let FileKind::Elf(elf) = inspect(&path.as_bytes()[1..], bytes.len() as u64, true, &mut &bytes[..]) else {
            panic!("{path} is not an ELF file");
        };
        let go = elf.go.unwrap_or_else(|| panic!("{path} has no Go build information"));
        assert!(go.version.starts_with("go1."), "{path}: {go:?}");
        let line = |key: &str| go.settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        assert_eq!(line("GOOS"), Some("linux"), "{path}: {go:?}");
        eprintln!("{path}: {} {:?} {:?}", go.version, line("GOARCH"), line("GOAMD64"));
        seen += 1;
    }
    if seen == 0 {
        machine::skip("go_programs_settings_are_found", "no Go program on this machine");
    }
}
