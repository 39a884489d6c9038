//! Compiled modules of Erlang and Elixir that the image's virtual machine is too old for. Seen with modules of Elixir 1.18
//! that OTP 27 compiled, on OTP 25: "This BEAM file was compiled for a later version of the runtime system than the current".

use crate::inspect::FileKind;
use crate::judge::code::{Code, Severity};
use crate::judge::facts::programs::Fit;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::files::FileRuleInput;
use crate::judge::finding::Finding;

/// A version of Erlang/OTP, the major version of its runtime system, and the highest number of an instruction that it
/// knows. Source: Erlang/OTP's lib/compiler/src/genop.tab, and the modules of each version.
struct Otp {
    version: u32,
    erts: u32,
    highest: u32,
}

const VERSIONS: &[Otp] = &[
    Otp { version: 22, erts: 10, highest: 168 },
    Otp { version: 23, erts: 11, highest: 170 },
    Otp { version: 24, erts: 12, highest: 176 },
    Otp { version: 25, erts: 13, highest: 180 },
    Otp { version: 26, erts: 14, highest: 182 },
    Otp { version: 27, erts: 15, highest: 183 },
    Otp { version: 28, erts: 16, highest: 184 },
];

/// The finding on modules that no virtual machine of the image can load.
pub fn judge(files: &FileRuleInput<'_>) -> Option<Finding> {
    let host = files.reach.interpreter(RuntimeKind::Erlang)?;
    let machines =
        files.programs.runnable().filter(|program| program.fit <= Fit::Compat && program.name() == "beam.smp");
    let known: Option<Vec<&Otp>> = machines.map(|program| of_machine(&program.path)).collect();
    let newest = known?.into_iter().max_by_key(|otp| otp.version)?;
    let mut refused: Vec<_> = files
        .rootfs
        .files_with_facts()
        .filter_map(|view| match view.fact {
            Some(&FileKind::Beam(highest)) if highest > newest.highest => {
                Some((String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned(), highest, view.layer))
            }
            _ => None,
        })
        .collect();
    refused.sort_unstable();
    let (path, highest, layer) = refused.first()?;
    let others = match refused.len() - 1 {
        0 => String::new(),
        1 => " and another module".to_string(),
        count => format!(" and {count} other modules"),
    };
    let compiler = VERSIONS.iter().find(|otp| otp.highest >= *highest);
    let compiler =
        compiler.map_or_else(|| "a newer Erlang/OTP".to_string(), |otp| format!("Erlang/OTP {}", otp.version));
    let message =
        format!("{compiler} or later compiled this{others}; this image's virtual machine is of OTP {}", newest.version);
    let mut finding = Finding::new(Code::PackageOtherPlatform, message).at(path, *layer);
    (finding.is, finding.expected) = (format!("for {compiler}"), format!("for Erlang/OTP {}", newest.version));
    finding.group = Some(path.rsplit_once('/').map_or(path.as_str(), |(directory, _)| directory).to_string());
    finding.hint = vec![
        "compile in a stage with the Erlang/OTP version that the final stage has, or include the runtime system in the release"
            .to_string(),
    ];
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.extend(files.interpreter(RuntimeKind::Erlang));
    finding.reached_by.push(path.clone());
    let is_started = files.reach.is_chain(host) || files.reach.caller(host).is_some();
    Some(if is_started { finding } else { finding.severity(Severity::Warning) })
}

/// The version of a virtual machine: `/usr/lib/erlang/erts-13.1.5/bin/beam.smp`.
fn of_machine(path: &str) -> Option<&'static Otp> {
    let (_, version) = path.rsplit_once("/erts-")?;
    let major: u32 = version.split(['.', '/']).next()?.parse().ok()?;
    VERSIONS.iter().find(|otp| otp.erts == major)
}

#[cfg(test)]
mod tests {
    use crate::inspect::beam::tests::beam;
    use crate::judge::rules::later_tests::{Put, found, own};

    #[test]
    fn modules_of_a_newer_compiler_are_refused() {
        let machine = |path: &'static str| Put::Program(path, own().build());
        let old = || machine("usr/lib/erlang/erts-13.1.5/bin/beam.smp");
        let path = "srv/lib/a/ebin/a.beam";
        let put = |highest: u32| Put::Library(path, beam(highest));
        assert_eq!(found(&[old(), put(182)]), [format!("warning package-other-platform /{path}")]);
        assert_eq!(found(&[old(), put(180)]), [""; 0]);
        assert_eq!(found(&[put(182)]), [""; 0]);
        let new = || machine("opt/rel/erts-14.2/bin/beam.smp");
        assert_eq!(found(&[old(), new(), put(182)]), [""; 0]);
        assert_eq!(found(&[old(), machine("opt/beam.smp"), put(182)]), [""; 0]);
    }
}
