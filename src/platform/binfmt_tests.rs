//! Entries as kernels print them, and registrations as packages write them.

use super::*;

/// As printed on a Debian 12 node with qemu-user-static.
const DEBIAN_AARCH64: &str = "enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
";

const JAR: &str = "enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n";
const PYTHON: &str = "enabled\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n";

fn names(files: &[(&str, &str)]) -> Vec<String> {
    handlers(files.iter().copied()).unwrap().into_iter().map(|handler| handler.name).collect()
}

#[test]
fn an_entry_reads_as_the_kernel_prints_it() {
    let handler = entry("qemu-aarch64", DEBIAN_AARCH64).unwrap().unwrap();
    assert_eq!(handler.interpreter, "/usr/libexec/qemu-binfmt/aarch64-binfmt-P");
    assert!(handler.fixed && handler.preserve_argv0 && handler.open_binary && !handler.credentials);
    assert!(
        takes_arch(&handler, Arch::Arm64) && !takes_arch(&handler, Arch::Amd64) && !takes_arch(&handler, Arch::Arm)
    );
    assert_eq!(handler.is_static, Fact::Unknown);
}

#[test]
fn an_extension_is_compared_with_case() {
    let handler = entry("jar", JAR).unwrap().unwrap();
    assert!(takes(&handler, b"", "/app/a.jar"));
    assert!(!takes(&handler, b"", "/app/a.JAR") && !takes(&handler, b"", "/app/jar"));
    assert!(!handler.fixed);
}

#[test]
fn a_magic_without_a_mask_is_compared_whole() {
    let handler = entry("python3.11", PYTHON).unwrap().unwrap();
    assert!(takes(&handler, &[0xa7, 0x0d, 0x0d, 0x0a, 1], "x.pyc"));
    assert!(!takes(&handler, &[0xa7, 0x0d, 0x0d], "x.pyc"));
}

#[test]
fn the_directory_order_is_kept_and_disabled_entries_are_dropped() {
    let disabled = DEBIAN_AARCH64.replace("enabled", "disabled");
    let files = [
        ("register", ""),
        ("status", "enabled\n"),
        ("zz", DEBIAN_AARCH64),
        ("off", disabled.as_str()),
        ("aa", DEBIAN_AARCH64),
    ];
    assert_eq!(names(&files), ["zz", "aa"]);
    assert_eq!(names(&[("zz", DEBIAN_AARCH64), ("status", "disabled\n")]), Vec::<String>::new());
}

#[test]
fn a_broken_entry_is_an_error_with_its_name() {
    let error = entry("odd", "enabled\ninterpreter /x\nflags: \noffset 0\nmagic 7f4\n").unwrap_err();
    assert_eq!(error.to_string(), "binfmt_misc entry odd: cannot parse line \"magic 7f4\"");
    assert!(entry("odd", "").is_err());
    assert!(entry("odd", "enabled\ninterpreter /x\n").is_err());
    assert!(entry("odd", "enabled\ninterpreter /x\noffset 250\nmagic 00112233445566\n").is_err());
}

#[test]
fn a_registration_line_reads_as_the_entry_it_makes() {
    let line = r":qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/libexec/qemu-binfmt/aarch64-binfmt-P:OPF";
    assert_eq!(registration(line).unwrap(), entry("qemu-aarch64", DEBIAN_AARCH64).unwrap().unwrap());
    assert_eq!(registration(":x:M:2:BC::/usr/bin/lli-14:").unwrap().rule, magic_rule(2, b"BC".to_vec(), None).unwrap());
    assert!(registration(":x:M").is_err() && registration("").is_err());
}

#[test]
fn known_sets_match_every_foreign_program_and_never_a_native_one() {
    for host in [Arch::Amd64, Arch::Arm64] {
        for set in [tonistiigi(host), debian(host)] {
            for (guest, ..) in QEMU {
                let is_taken = set.iter().any(|handler| takes_arch(handler, *guest));
                assert_eq!(is_taken, !is_native(host, *guest), "{guest} on {host}");
            }
        }
    }
    let debian_arm64 = debian(Arch::Amd64).into_iter().find(|handler| handler.name == "qemu-aarch64").unwrap();
    assert_eq!(debian_arm64.rule, entry("", DEBIAN_AARCH64).unwrap().unwrap().rule);
}

#[test]
fn rosetta_takes_x86_64_only_and_wsl_takes_windows_programs() {
    assert!(takes_arch(&rosetta(), Arch::Amd64) && !takes_arch(&rosetta(), Arch::I386));
    assert!(takes(&wsl_interop(), b"MZ\x90\x00", "app.exe") && !takes_arch(&wsl_interop(), Arch::Amd64));
}

#[test]
fn an_aarch64_magic_refuses_object_files_and_other_abi_versions() {
    let handler = entry("qemu-aarch64", DEBIAN_AARCH64).unwrap().unwrap();
    let mut head = elf_head(Arch::Arm64, 2);
    head[7] = 3;
    assert!(takes(&handler, &head, "x"), "EI_OSABI does not count");
    head[8] = 1;
    assert!(!takes(&handler, &head, "x"), "EI_ABIVERSION does");
    assert!(!takes(&handler, &elf_head(Arch::Arm64, 1), "x"), "an object file is not a program");
}
