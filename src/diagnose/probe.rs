//! Recognises that a message is about a command that is called in a container that has started: by a probe, by a hook, or
//! by `docker exec` and `kubectl exec`.

use super::message::Sign;
use crate::exec::Errno;

/// Texts of the kubelet and of Docker about probes, hooks and health checks, in lower case.
const MARKS: &[&str] = &[
    "liveness probe",
    "readiness probe",
    "startup probe",
    "lifecycle hook",
    "poststarthook",
    "prestophook",
    "health check",
    "healthcheck",
];

/// Texts of runtimes and of the kubelet about a command that is called in a running container, in lower case.
const EXEC_MARKS: &[&str] = &[
    "runtime exec failed",
    "runtime error: exec failed",
    "exec failed: unable to start container process",
    "exec failed: container_linux.go",
    "failed to exec in container",
    "executing command in container",
];

/// The sign of a message in the log's line `line`: a command that a running container lacks says nothing about the start.
pub fn sign_of(sign: Sign, line: &str) -> Sign {
    match sign {
        Sign::NotOnPath
        | Sign::ProgramNotFound
        | Sign::CommandNotFound
        | Sign::ShellFileMissing
        | Sign::EnvNotFound
        | Sign::Exec(Errno::ENOENT)
            if is_of_probe(line) =>
        {
            Sign::ProbeCommandMissing
        }
        Sign::NotOnPath | Sign::ProgramNotFound | Sign::Exec(Errno::ENOENT) if is_of_exec(line) => {
            Sign::ExecCommandMissing
        }
        sign => sign,
    }
}

fn is_of_exec(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    EXEC_MARKS.iter().any(|mark| lower.contains(mark))
}

fn is_of_probe(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    // The log of health checks in `docker inspect`, on separate lines or in one object.
    let is_health_log = lower.trim_start().starts_with("\"output\": \"")
        || lower.contains("\"exitcode\":") && lower.contains("\"output\":");
    is_health_log || MARKS.iter().any(|mark| lower.contains(mark))
}

#[cfg(test)]
mod tests {
    use crate::diagnose::cause::Likelihood::Likely;
    use crate::diagnose::cause::Suspect;
    use crate::diagnose::rank::{Circumstances, rank};
    use crate::diagnose::recognise::recognise;

    #[test]
    fn the_command_of_a_probe_is_not_the_start() {
        for text in [
            "Warning  Unhealthy  12s (x4 over 42s)  kubelet  Liveness probe failed: /bin/sh: 1: curl: not found",
            "Readiness probe errored: rpc error: code = Unknown desc = failed to exec in container: OCI runtime exec failed: \
             exec failed: unable to start container process: exec: \"curl\": executable file not found in $PATH: unknown",
            "Liveness probe errored: exec failed: unable to start container process: exec: \"/bin/grpc_health_probe\": stat \
             /bin/grpc_health_probe: no such file or directory: unknown",
            "Exec lifecycle hook ([/bin/sh -c curl 127.0.0.1]) for Container \"app\" failed - error: command exited with \
             127: /bin/sh: curl: not found , message: \"/bin/sh: curl: not found\\n\"",
            "                    \"Output\": \"/bin/sh: 1: curl: not found\\n\"",
            "{\"Start\":\"2026-03-01\",\"ExitCode\":127,\"Output\":\"/bin/sh: 1: wget: not found\\n\"}",
            "Startup probe errored: exec: \"pidof\": executable file not found in $PATH\n\
             exec failed: container_linux.go:349: starting container process caused \"exec: \\\"pidof\\\": executable file \
             not found in $PATH\"",
        ] {
            let ranked = rank(&recognise(text), &Circumstances::default());
            let first: Vec<_> = ranked.iter().map(|entry| (entry.suspect, entry.likelihood)).collect();
            assert_eq!(first, [(Suspect::ProgramItself, Likely)], "{text}");
        }
    }

    #[test]
    fn a_command_that_a_user_calls_in_a_running_container_is_not_the_start() {
        for text in [
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"bash\": executable file not \
             found in $PATH: unknown\ncommand terminated with exit code 126",
            "OCI runtime exec failed: exec failed: container_linux.go:348: starting container process caused \"exec: \
             \\\"/bin/bash\\\": stat /bin/bash: no such file or directory\": unknown",
            "rpc error: code = 2 desc = \"oci runtime error: exec failed: exec: \"/bin/sh\": stat /bin/sh: no such file or \
             directory\"",
            "error: Internal error occurred: error executing command in container: failed to exec in container: failed to \
             start exec \"fc7e\": OCI runtime exec failed: exec failed: unable to start container process: exec: \"ps\": \
             executable file not found in $PATH: unknown",
        ] {
            let ranked = rank(&recognise(text), &Circumstances::default());
            let first: Vec<_> = ranked.iter().map(|entry| (entry.suspect, entry.likelihood)).collect();
            assert_eq!(first, [(Suspect::ProgramItself, Likely)], "{text}");
        }
        // gosu starts the container's own program.
        let ranked = rank(&recognise("error: exec failed: no such file or directory"), &Circumstances::default());
        assert_ne!(ranked[0].suspect, Suspect::ProgramItself);
    }

    #[test]
    fn a_probe_of_another_architecture_is_one() {
        let text = "Liveness probe errored: OCI runtime exec failed: exec failed: unable to start container process: exec \
                    /bin/grpc_health_probe: exec format error: unknown";
        let ranked = rank(&recognise(text), &Circumstances::default());
        assert_eq!(ranked[0].suspect, Suspect::WrongArchitecture);
    }
}
