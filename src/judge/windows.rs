//! Judges a Windows image by the machine of its PE files. How Windows starts a program is not modelled: the program
//! that is started is only found by its file name.

use std::collections::BTreeMap;

use crate::image::{FileView, RootFs};
use crate::inspect::{FileKind, Pe};
use crate::judge::code::Code;
use crate::judge::finding::{self, Finding};
use crate::judge::labels::{Agreement, Labels};
use crate::platform::Arch;

/// The verdict on a Windows platform.
pub struct WindowsJudgement {
    pub agreement: Agreement,
    pub findings: Vec<Finding>,
    /// PE programs and libraries that are built for one architecture.
    pub programs: usize,
    pub architectures: BTreeMap<Arch, usize>,
}

/// Judges the PE files of an image for `windows/<arch>`. `argv` is the call.
pub fn judge(labels: Labels<'_>, rootfs: &RootFs<FileKind>, argv: &[String], arch: Arch) -> WindowsJudgement {
    let mut judged = WindowsJudgement {
        agreement: Agreement::NoPrograms,
        findings: Vec::new(),
        programs: 0,
        architectures: BTreeMap::new(),
    };
    let start = argv.first().map(|program| windows_name(program));
    let mut foreign = Vec::new();
    for view in rootfs.files_with_facts() {
        let Some(FileKind::Pe(pe)) = view.fact else { continue };
        let path = String::from_utf8_lossy(&rootfs.path(view.id)).into_owned();
        let is_start = start.as_deref().is_some_and(|start| is_named(&path, start));
        // An assembly of intermediate language runs on every architecture of its runtime.
        let Some(own) = pe.arch.filter(|_| !pe.is_dotnet) else { continue };
        judged.programs += 1;
        *judged.architectures.entry(own).or_default() += 1;
        if !runs(own, arch) {
            foreign.push(foreign_file(&view, &path, pe, arch, is_start));
        }
    }
    let all_foreign = judged.programs > 0 && foreign.len() == judged.programs;
    judged.agreement = match (judged.programs, foreign.len()) {
        (0, _) => Agreement::NoPrograms,
        (_, 0) if labels.promised.zip(labels.declared).is_none_or(|(a, b)| a.architecture == b.architecture) => {
            Agreement::Fits
        }
        (_, 0) => Agreement::MetadataDisagrees,
        _ if all_foreign => Agreement::WhollyForeign,
        _ => Agreement::Mixed,
    };
    if all_foreign {
        let message = format!("published as windows/{arch}, but every program is for another architecture");
        judged.findings.push(Finding::new(Code::WhollyAnotherArchitecture, message));
        foreign.retain(|finding| finding.code == Code::EntrypointWrongArch);
    }
    judged.findings.extend(foreign);
    if judged.programs == 0 {
        judged.findings.push(Finding::new(Code::NoPrograms, "no Windows program was found in the image"));
    }
    finding::sort(&mut judged.findings);
    judged
}

/// Windows emulates x86 programs on x64, and both on Arm.
fn runs(program: Arch, on: Arch) -> bool {
    program == on || matches!((program, on), (Arch::I386, Arch::Amd64 | Arch::Arm64) | (Arch::Amd64, Arch::Arm64))
}

fn foreign_file(view: &FileView<'_, FileKind>, path: &str, pe: &Pe, arch: Arch, is_start: bool) -> Finding {
    let own = pe.arch.map_or("another machine", Arch::name);
    let is = format!("PE {own}, {}", if pe.is_dll { "library" } else { "program" });
    let (code, message) = match is_start {
        true => (
            Code::EntrypointWrongArch,
            format!("the program that windows/{arch} starts is a Windows program for {own}"),
        ),
        false => (Code::ForeignFile, format!("a Windows file for {own} in an image for {}", arch.name())),
    };
    let mut finding = Finding::new(code, message).at(path, view.layer).is(is, arch.name());
    finding.group = path.rsplit_once('/').map(|(directory, _)| directory.to_string());
    finding
}

/// `C:\app\server.exe` as `app/server.exe`; Windows ignores case.
fn windows_name(program: &str) -> String {
    let program = program.replace('\\', "/").to_ascii_lowercase();
    let path = program.split_once(':').map_or(program.as_str(), |(_, rest)| rest);
    path.trim_start_matches('/').to_string()
}

/// Files of a Windows layer are below `Files/`. A bare name matches in any directory, with or without `.exe`.
fn is_named(path: &str, start: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let with_exe = format!("{start}.exe");
    [start, with_exe.as_str()].iter().any(|name| path.ends_with(&format!("/{name}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::image::{Contents, EntryKind, LayerMember, merge};
    use crate::platform::Platform;

    fn judged(files: &[(&str, u16, Arch)], start: &str) -> Vec<(Code, Option<String>)> {
        let mut contents = Contents::default();
        for (path, machine, arch) in files {
            let pe = Pe {
                machine: *machine,
                arch: Some(*arch),
                is_dll: false,
                is_dotnet: false,
                subsystem: 3,
                has_code: true,
            };
            contents
                .push(&LayerMember::plain(path.as_bytes(), EntryKind::File, 0o755), Some(FileKind::Pe(Box::new(pe))));
        }
        let platform = Platform::new("windows", "amd64", None);
        let labels = Labels { promised: Some(&platform), declared: None };
        let judged = judge(labels, &merge([Arc::new(contents)]), &[start.to_string()], Arch::Amd64);
        judged.findings.into_iter().map(|finding| (finding.code, finding.path)).collect()
    }

    #[test]
    fn a_program_for_another_machine_is_found_by_its_windows_name() {
        let found = judged(
            &[("Files/app/Server.exe", 0xaa64, Arch::Arm64), ("Files/x.dll", 0x8664, Arch::Amd64)],
            r"C:\app\server.exe",
        );
        assert_eq!(found, [(Code::EntrypointWrongArch, Some("/Files/app/Server.exe".into()))]);
    }

    #[test]
    fn x86_programs_run_on_x64() {
        assert_eq!(judged(&[("Files/a.exe", 0x14c, Arch::I386)], "a"), []);
        assert_eq!(judged(&[], "a"), [(Code::NoPrograms, None)]);
    }
}
