//! Symptoms and circumstances with the expected order of suspects.

use std::time::Duration;

use super::*;
use crate::diagnose::message::messages;
use crate::diagnose::recognise::recognise;
use Suspect::*;

fn check(log: &str, expected: Suspect, likelihood: Likelihood) {
    let ranked = rank(&recognise(log), &Circumstances::default());
    let first = ranked.first().unwrap_or_else(|| panic!("no suspect for {log:?}"));
    assert_eq!((first.suspect, first.likelihood), (expected, likelihood), "{log:?}");
}

fn check_exit(code: i32, seconds: u64, has_output: bool, expected: &[Suspect]) {
    let circumstances = Circumstances {
        exit_code: Some(code),
        lifetime: Some(Duration::from_secs(seconds)),
        has_output: Some(has_output),
        reason: None,
        ..Circumstances::default()
    };
    let found: Vec<Suspect> = rank(&[], &circumstances).into_iter().map(|entry| entry.suspect).collect();
    assert_eq!(found, expected, "exit {code} after {seconds} s");
}

#[test]
fn every_message_but_a_back_off_and_the_unrelated_has_a_suspect() {
    for message in messages() {
        let ranked = rank(&recognise(message.example), &Circumstances::default());
        let is_silent = matches!(message.sign, Some(Sign::BackOff | Sign::Unrelated));
        assert_eq!(ranked.is_empty(), is_silent, "{}", message.example);
    }
}

#[test]
fn an_exec_format_error_means_another_architecture_first() {
    check("exec /usr/local/bin/app: exec format error", WrongArchitecture, Likely);
    check("exec /app/run.sh: exec format error", ForeignInterpreter, Likely);
    check("exec /opt/bitnami/scripts/redis/entrypoint.sh: exec format error", WrongArchitecture, Likely);
    check("IMAGE Launch error: fork/exec /run.sh: exec format error Entrypoint: [/run.sh]", ForeignInterpreter, Likely);
    check("fork/exec /run.sh: exec format error\nRuntime.InvalidEntrypoint", ForeignInterpreter, Likely);
    check("fork/exec /tekton/bin/entrypoint: exec format error", WrongArchitecture, Likely);
    check("/app: line 1: syntax error: unterminated quoted string", WrongArchitecture, Likely);
}

#[test]
fn a_script_that_a_program_of_its_image_cannot_start_has_no_shebang() {
    check("fork/exec /app/hooks/run.sh: exec format error", NotAProgram, Likely);
    check("s6-supervise app (child): fatal: unable to exec run: Exec format error", NotAProgram, Likely);
    check("supervisor: couldn't exec /app/run.sh: ENOEXEC", NotAProgram, Likely);
    check("OSError: [Errno 8] Exec format error: '/app/run.sh'", NotAProgram, Likely);
}

#[test]
fn an_engines_warning_makes_it_certain() {
    let log = "WARNING: The requested image's platform (linux/amd64) does not match the detected host platform \
               (linux/arm64/v8) and no specific platform was requested\nexec /app: exec format error";
    check(log, WrongArchitecture, Certain);
}

#[test]
fn a_missing_file_that_exists_means_its_loader_or_interpreter() {
    check("exec /app: no such file or directory", MissingLoader, Likely);
    check("exec /docker-entrypoint.sh: no such file or directory", CarriageReturn, Likely);
    check("exec: \"/app\": stat /app: no such file or directory", MissingProgram, Certain);
}

#[test]
fn a_missing_file_that_a_volume_may_hide_is_not_certain() {
    check("python3: can't open file '/app/main.py': [Errno 2] No such file or directory", MissingScript, Likely);
    check("app.service: Failed at step CHDIR spawning /app: No such file or directory", BadWorkingDirectory, Likely);
}

#[test]
fn only_services_have_a_script_named_run() {
    check("fork/exec /opt/solver/bin/run: exec format error", WrongArchitecture, Likely);
    check("bash: ./run: cannot execute binary file", WrongArchitecture, Likely);
    check("unable to exec ./run: Exec format error", NotAProgram, Likely);
    check("unable to exec /etc/services.d/web/run: Exec format error", NotAProgram, Likely);
}

#[test]
fn a_programs_own_check_of_the_cpu_is_recognised_by_the_features_name() {
    for line in ["CPU does not support AVX", "AVX2 is not supported by the cpu.", "It needs a CPU with SSE4.2 support"]
    {
        check(line, CpuLevel, Likely);
    }
    assert_eq!(recognise("this CPU does not support hot plugging"), []);
    assert_eq!(recognise("TLS 1.3 is not supported by the server"), []);
}

#[test]
fn files_that_shells_read_are_not_started() {
    check("bash: /root/.bashrc: Permission denied", ProgramItself, Likely);
    check("bash: /app/server: Permission denied", NotExecutable, Likely);
    check("bash: ./app: /lib/ld-linux.so.2: bad interpreter: No such file or directory", MissingLoader, Likely);
}

#[test]
fn a_build_without_an_emulator_is_distinguished_from_a_broken_image() {
    let log = "exec /bin/sh: exec format error\nERROR: process \"/bin/sh -c apk add curl\" did not complete successfully: exit code: 255";
    check(log, EmulatorMissing, Likely);
}

#[test]
fn a_command_that_a_script_lacks_is_not_why_it_cannot_start_a_program() {
    let log = "/wait-for-it.sh: line 146: which: command not found\n\
               /wait-for-it.sh: line 178: /srv/web: cannot execute binary file: Exec format error";
    check(log, WrongArchitecture, Likely);
    check("/wait-for-it.sh: line 146: which: command not found", NotOnPath, Likely);
}

#[test]
fn a_file_that_a_build_steps_own_shell_cannot_start_is_for_another_architecture() {
    let log = "/bin/sh: 1: /tmp/installer: Exec format error\nThe command '/bin/sh -c /tmp/installer /' returned a non-zero code: 126";
    check(log, WrongArchitecture, Likely);
}

#[test]
fn a_module_for_another_version_of_its_runtime_is_not_for_another_platform() {
    let node = "Error: The module '/app/a.node'\nwas compiled against a different Node.js version using\nNODE_MODULE_VERSION 93.";
    check(node, ModuleVersion, Certain);
    assert_eq!(recognise(node)[0].path.as_deref(), Some("/app/a.node"));
    // PHP goes on without the module.
    check("PHP Warning:  PHP Startup: redis: Unable to initialize module", ModuleVersion, Likely);
    let wrong =
        "java.lang.UnsatisfiedLinkError: /tmp/libx.so: (Possible cause: can't load AMD 64 .so on a AARCH64 platform)";
    check(wrong, ForeignLibrary, Certain);
}

#[test]
fn a_build_by_buildah_or_kaniko_lacks_an_emulator_too() {
    let buildah = "exec container process `/bin/sh`: Exec format error\n\
                   Error: building at STEP \"RUN dnf -y install git\": while running runtime: exit status 1";
    check(buildah, EmulatorMissing, Likely);
    let kaniko = "error building image: error building stage: failed to execute command: starting command: \
                  fork/exec /bin/sh: exec format error";
    check(kaniko, EmulatorMissing, Likely);
}

#[test]
fn a_file_that_bash_names_twice_was_passed_to_it_as_a_script() {
    check("/bin/bash: /bin/bash: cannot execute binary file", BinaryAsScript, Likely);
    check("/app/server: /app/server: cannot execute binary file", BinaryAsScript, Likely);
    check("bash: ./app: cannot execute binary file", WrongArchitecture, Likely);
    check("/app: /app: cannot execute binary file: Exec format error", WrongArchitecture, Likely);
    check("bash: ./app: cannot execute binary file: Exec format error", WrongArchitecture, Likely);
}

#[test]
fn a_syntax_error_that_expects_a_keyword_is_a_scripts() {
    check("/start: 14: Syntax error: end of file unexpected (expecting \"then\")", CarriageReturn, Likely);
    check("/start: line 9: syntax error: unexpected word (expecting \"do\")", CarriageReturn, Likely);
    check("/start: 14: Syntax error: end of file unexpected (expecting \"fi\")", ProgramItself, Likely);
    check("sh: 1: Syntax error: \"(\" unexpected", ProgramItself, Likely);
    check("/app/main: 2: Syntax error: \"(\" unexpected", WrongArchitecture, Likely);
    check("/app/main: 4: Syntax error: word unexpected (expecting \")\")", WrongArchitecture, Likely);
}

#[test]
fn a_file_that_a_shell_does_not_find_is_a_program_only_in_program_directories() {
    check("bash: ./server: No such file or directory", MissingProgram, Likely);
    check("/start: line 12: /opt/app/bin/app: No such file or directory", MissingProgram, Likely);
    check("/start: line 102: /bin/vault: Operation not permitted", Capabilities, Likely);
    check("/start: line 3: /app/server: Permission denied", NotExecutable, Likely);
}

#[test]
fn a_libc_of_another_kind_is_not_a_missing_library() {
    let musl = "Error loading shared library ld-linux-aarch64.so.1: No such file or directory (needed by /app/x.node)";
    check(musl, MixedLibc, Likely);
}

#[test]
fn exit_codes_are_read_from_every_format_of_an_engine() {
    for line in [
        "dependency failed to start: container shop-api-1 exited (132)",
        "            \"ExitCode\": 132,",
        "exitCode: 132",
    ] {
        check(line, CpuLevel, Likely);
    }
    for line in ["\"OOMKilled\": false,", "{\"OOMKilled\":false,\"Dead\":false}", "\"ExitCode\": 0,"] {
        assert_eq!(rank(&recognise(line), &Circumstances::default()), [], "{line}");
    }
}

#[test]
fn a_supervisors_general_error_ranks_below_the_reason() {
    check("fork/exec /var/task/bootstrap: permission denied\nRuntime.InvalidEntrypoint", NoExecMount, Likely);
    check(
        "Couldn't find valid bootstrap(s): [/var/task/bootstrap]\nRuntime.InvalidEntrypoint",
        MissingProgram,
        Certain,
    );
    check("Runtime.InvalidEntrypoint", WrongArchitecture, Likely);
}

#[test]
fn a_message_beats_an_exit_code() {
    let circumstances = Circumstances { exit_code: Some(127), ..Circumstances::default() };
    let ranked = rank(&recognise("./app: CPU ISA level is lower than required"), &circumstances);
    assert_eq!(ranked.iter().map(|entry| entry.suspect).collect::<Vec<_>>(), [CpuLevel]);
}

#[test]
fn an_exit_code_alone_leaves_several_suspects() {
    check_exit(255, 0, false, &[WrongArchitecture, MissingLoader, ProgramItself]);
    check_exit(1, 300, true, &[ProgramItself]);
    check_exit(139, 0, false, &[PageSize, Truncated, ProgramItself]);
    check_exit(139, 60, true, &[ProgramItself, PageSize]);
    check_exit(132, 0, false, &[CpuLevel, ProgramItself]);
    check_exit(127, 0, false, &[NotOnPath, MissingLibrary, CpuLevel]);
    check_exit(0, 0, false, &[]);
}

#[test]
fn a_container_out_of_memory_is_not_blamed_on_the_architecture() {
    let circumstances =
        Circumstances { exit_code: Some(137), reason: Some("OOMKilled".into()), ..Circumstances::default() };
    assert_eq!(rank(&[], &circumstances)[0].suspect, OutOfMemory);
}

/// Messages of ordinary programs. None may be blamed on the architecture, a loader or a line ending.
#[test]
fn ordinary_messages_are_not_blamed_on_the_image() {
    for log in [
        "open /etc/app/config.yaml: no such file or directory",
        "panic: open /data/x: permission denied",
        "Error: Cannot find module 'express'",
        "ModuleNotFoundError: No module named 'flask'",
        "mkdir: cannot create directory '/data': Permission denied",
        "sh: 1: cannot create /x: Permission denied",
        "/entrypoint.sh: 2: set: Illegal option -o pipefail",
        "/entrypoint.sh: 12: Syntax error: \"(\" unexpected",
        "dial tcp: lookup redis on 10.0.0.10:53: no such host",
        "listen tcp :80: bind: permission denied",
        "java.lang.OutOfMemoryError: Java heap space",
        "nginx: [emerg] host not found in upstream \"api\"",
        "permission denied while trying to connect to the Docker daemon socket",
        "fatal: not a git repository (or any of the parent directories): .git",
        "LINE 1: exec format error_codes",
        "lua: illegal instruction 0x3f in bytecode at pc 12",
        "RuntimeError: illegal instruction: unreachable executed in wasm function 12",
        "W dso_loader.cc:64] Could not load dynamic library 'libcudart.so.11.0'; dlerror: libcudart.so.11.0: cannot open shared object file: No such file or directory",
        "sh: 1: Syntax error: end of file unexpected (expecting \"done\")",
        "/entrypoint.sh: line 9: /etc/app/config.ini: Permission denied",
        "/entrypoint.sh: line 3: /etc/profile.d/app.sh: No such file or directory",
        "/entrypoint.sh: line 4: /vault/secrets/env: No such file or directory",
        "/start: 3: [[: not found",
        "sh: can't open '/__w/_temp/4101d4b1.sh': No such file or directory",
        "sh: 1: source: not found",
        "ld.lld: error: undefined symbol: foo",
        "wasm-ld: error: build/main.o: undefined symbol: malloc",
        "/data/in.wav: file too short",
        "WARN symbols: could not parse the file: invalid ELF header; skipping it",
        "modprobe: ERROR: could not insert 'overlay': Exec format error",
        "systemd[1]: /etc/systemd/system/app.service:3: Exec format error",
        "Failed to enable unit: File app.service: Exec format error",
        "info fsevents@1.2.13: The platform \"linux\" is incompatible with this module.\ninfo \"fsevents@1.2.13\" is an optional dependency and failed compatibility check.",
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
        "WARNING: your CPU does not support AVX2, builds are slow\n[INFO] listening on :80\nError: connection reset",
        "Your CPU supports instructions that this TensorFlow binary was not compiled to use: AVX2 FMA",
        "    exec_test.go:14: got \"exec format error\", want nil",
        "README.md:42: \"exec format error\" should be in backticks",
        "level=warn msg=\"exclude_lines: ['exec format error'] is deprecated\"",
        "Error: crun: mount `/proc` to `proc`: Operation not permitted: OCI permission denied",
        "Error: crun: cannot stat `/srv/x`: No such file or directory: OCI runtime attempted to invoke a command that was not found",
        "qemu-img: Could not open 'disk.qcow2': No such file or directory",
        "runc did not terminate successfully: exit status 127: unknown",
        "    parse_test.go:31: parse(\"exec /app: exec format error\") = nil",
        "    # exec /app: exec format error -> another architecture",
        "level=info msg=\"skipped linux/arm64: exec format error is expected on this host\"",
    ] {
        let ranked = rank(&recognise(log), &Circumstances::default());
        let first = ranked.first().map(|first| first.suspect);
        assert!(matches!(first, None | Some(ProgramItself)), "{log:?} is blamed on {first:?}");
    }
}
