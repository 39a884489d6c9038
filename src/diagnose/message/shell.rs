//! Messages of shells, supervisors and other programs that start programs.

use super::message_table;

#[rustfmt::skip]
message_table! { TABLE:
    // Line endings.
    Env CarriageReturn, "env: can't execute '{path}\\r",
        "env: can't execute 'bash\\r': No such file or directory";
    Env CarriageReturn, "env: {path}\\r",
        "/usr/bin/env: ‘bash\\r’: No such file or directory";
    Bash CarriageReturn, "{path}^M: bad interpreter",
        "bash: ./run.sh: /bin/sh^M: bad interpreter: No such file or directory";
    Shell CarriageReturn, "bad interpreter: {path}^M: ",
        "zsh: ./run.sh: bad interpreter: /bin/bash^M: no such file or directory";
    Bash CarriageReturn, "{path}\\r: bad interpreter",
        "bash: ./run.sh: /bin/sh\\r: bad interpreter: No such file or directory";
    Bash CarriageReturn, "$'\\r': command not found",
        "/entrypoint.sh: line 2: $'\\r': command not found";
    Dash CarriageReturn, "set: Illegal option -$",
        "/entrypoint.sh: 2: set: Illegal option -";
    Busybox CarriageReturn, "set: line {line}: illegal option -$",
        "/entrypoint.sh: set: line 2: illegal option -";
    Bash CarriageReturn, "set: {option}\\r: invalid option name",
        "/entrypoint.sh: line 2: set: pipefail\\r: invalid option name";
    Bash CarriageReturn, "set: -\\r: invalid option",
        "/entrypoint.sh: line 2: set: -\\r: invalid option";
    // The carriage return moved the terminal's cursor to the start of the line.
    Bash CarriageReturn, ": invalid option name.sh: line {line}: set: ",
        ": invalid option name.sh: line 2: set: pipefail";
    Shell CarriageReturn, "\\r: not found",
        "/entrypoint.sh: line 3: cd\\r: not found";
    Bash CarriageReturn, "\\r: command not found",
        "/entrypoint.sh: line 3: start\\r: command not found";
    Bash CarriageReturn, "syntax error near unexpected token `$'{token}\\r'",
        "/entrypoint.sh: line 4: syntax error near unexpected token `$'do\\r''";
    // Shebang lines.
    Env ShebangOptions, "use -[v]S to pass options in shebang lines",
        "/usr/bin/env: use -[v]S to pass options in shebang lines";
    Env ShebangOptions, "env: '{=path} -{options}': No such file or directory",
        "/usr/bin/env: 'bash -e': No such file or directory";
    Env ShebangOptions, "env: ‘{=path} -{options}’: No such file or directory",
        "/usr/bin/env: ‘python3 -u’: No such file or directory";
    Env ShebangOptions, "env: can't execute '{=path} -{options}': No such file or directory",
        "env: can't execute 'bash -e': No such file or directory";
    Env EnvNotFound, "env: can't execute '{path}': No such file or directory",
        "env: can't execute 'python3': No such file or directory";
    Env errno, "env: can't execute '{path}': {errno}",
        "env: can't execute '/app': Exec format error";
    Busybox CommandNotFound, "can't execute '{path}': No such file or directory",
        "timeout: can't execute 'k6': No such file or directory";
    Busybox errno, "can't execute '{path}': {errno}",
        "setsid: can't execute '/app': Exec format error";
    Busybox CommandNotFound, "{=path}: applet not found",
        "server: applet not found";
    Env EnvNotFound, "env: {path}: No such file or directory",
        "/usr/bin/env: ‘python3’: No such file or directory";
    Bash BadInterpreter, "{path}: bad interpreter: No such file or directory",
        "bash: ./run.sh: /usr/local/bin/python: bad interpreter: No such file or directory";
    Shell BadInterpreter, "bad interpreter: {path}: no such file or directory",
        "zsh: ./run.sh: bad interpreter: /usr/local/bin/python: no such file or directory";
    Bash ShellDenied, "{path}: bad interpreter: Permission denied",
        "bash: ./run.sh: /bin/sh: bad interpreter: Permission denied";
    Bash Exec(ENOEXEC), "{path}: bad interpreter: Exec format error",
        "bash: ./run.sh: /opt/python: bad interpreter: Exec format error";
    Bash InterpreterMissing, "{path}: cannot execute: required file not found",
        "bash: line 1: ./app: cannot execute: required file not found";
    Shell InterpreterMissing, "The file '{path}' exists and is executable. Check the interpreter or linker?",
        "fish: The file './app' exists and is executable. Check the interpreter or linker?";
    // Programs.
    Bash Exec(ENOEXEC), "{path}: cannot execute binary file: Exec format error",
        "bash: ./app: cannot execute binary file: Exec format error";
    Bash Exec(ENOEXEC), "{path}: cannot execute binary file",
        "/bin/sh: /usr/local/bin/app: cannot execute binary file";
    Shell Exec(ENOEXEC), "{path}: not executable: {=bits} ELF file",
        "/system/bin/sh: /data/app: not executable: 64-bit ELF file";
    MacOs Exec(ENOEXEC), "bad CPU type in executable",
        "zsh: bad CPU type in executable: ./app";
    Shell ProgramReadAsScript, "{path}: line 1: ELF: not found",
        "/usr/local/bin/app: line 1: ELF: not found";
    Busybox ProgramReadAsScript, "{path}: line 1:ELF: not found",
        "/command/s6-overlay-suexec: line 1:ELF: not found";
    Shell ProgramReadAsScript, "{path}: {#line}: ELF: not found",
        "/usr/local/bin/app: 1: ELF: not found";
    Shell ProgramReadAsScript, "\u{7f}ELF",
        "/app: line 1: \u{7f}ELF: not found";
    Bash ProgramReadAsScript, "$'\\177ELF",
        "/app: line 1: $'\\177ELF\\002\\001\\001': command not found";
    Shell ProgramReadAsScript, "^?ELF",
        "/app: line 1: ^?ELF^B^A^A: not found";
    Dash ProgramReadAsScript, "{path}: {#line}: Syntax error: {token} unexpected",
        "/app: 2: Syntax error: \")\" unexpected";
    // Releases of dash before 0.5.11 name the script twice.
    Dash ProgramReadAsScript, "{path}: {#line}: {=script}: ELF: not found",
        "/app/erts/bin/escript: 1: /app/erts/bin/escript: ELF: not found";
    Dash ProgramReadAsScript, "{path}: {#line}: {=script}: Syntax error: {token} unexpected",
        "/app/erts/bin/erlexec: 1: /app/erts/bin/erlexec: Syntax error: \"&\" unexpected";
    Dash ProgramReadAsScript, "{path}: {#line}: {=script}: Syntax error: Unterminated quoted string",
        "/app/erts/bin/erlexec: 1: /app/erts/bin/erlexec: Syntax error: Unterminated quoted string";
    Busybox ProgramReadAsScript, "{path}: line {#line}: syntax error: unexpected {token}",
        "/app: line 1: syntax error: unexpected \"(\"";
    Busybox ProgramReadAsScript, "{path}: line {#line}: syntax error: unterminated quoted string",
        "/app: line 1: syntax error: unterminated quoted string";
    Dash ProgramReadAsScript, "{path}: {#line}: Syntax error: Unterminated quoted string",
        "/app: 1: Syntax error: Unterminated quoted string";
    Shell ProgramReadAsScript, "syntax error: unterminated quoted string",
        "syntax error: unterminated quoted string";
    Tini errno, "[FATAL tini ({pid})] exec {path} failed: {errno}",
        "[FATAL tini (7)] exec /app failed: Exec format error";
    DumbInit errno, "[dumb-init] {path}: {errno}",
        "[dumb-init] /app: Exec format error";
    Catatonit errno, "failed to exec pid1: {errno}",
        "ERROR (catatonit:2): failed to exec pid1: Exec format error";
    Gosu errno, "exec {path} failed: {errno}",
        "error: exec /app failed: exec format error";
    Gosu errno, "error: exec failed: {errno}",
        "error: exec failed: exec format error";
    Gosu errno, "su-exec: {path}: {errno}",
        "su-exec: /usr/local/bin/server: Exec format error";
    S6 errno, "unable to exec {path}: {errno}",
        "s6-supervise app: fatal: unable to exec run: Exec format error";
    S6 errno, "unable to spawn {path} (waiting {text}): {errno}",
        "s6-supervise app: warning: unable to spawn ./run (waiting 60 seconds): Exec format error";
    S6 errno, "unable to spawn {path} - waiting {text}: {errno}",
        "s6-supervise app: warning: unable to spawn ./run - waiting 10 seconds: Exec format error";
    S6 errno, "unable to spawn {path}: {errno}",
        "s6-supervise app (child): warning: unable to spawn ./run: Exec format error";
    Runit errno, "unable to start {/path}: {errno}",
        "runsv app: fatal: unable to start ./run: exec format error";
    Runit errno, "chpst: fatal: unable to run: {path}: {errno}",
        "chpst: fatal: unable to run: app: file does not exist";
    Supervisord errno, "couldn't exec {path}: {errno}",
        "supervisor: couldn't exec /app: ENOEXEC";
    Supervisord NotOnPath, "can't find command '{=path}'",
        "INFO spawnerr: can't find command 'gunicorn'";
    Supervisord NotExecutable, "command at '{path}' is not executable",
        "INFO spawnerr: command at '/app/run' is not executable";
    Supervisord NotExecutable, "command at '{path}' is a directory",
        "INFO spawnerr: command at '/app' is a directory";
    Supervisord WorkingDirRefused, "couldn't chdir to {path}: {reason}",
        "supervisor: couldn't chdir to /srv/app: ENOENT";
    Systemd WorkingDirRefused, "Failed at step CHDIR spawning {path}: {reason}",
        "app.service: Failed at step CHDIR spawning /usr/local/bin/app: No such file or directory";
    Systemd UserMissing, "Failed to determine user credentials: {reason}",
        "app.service: Failed to determine user credentials: No such process";
    Systemd ProgramNotFound, "Failed to locate executable {path}: No such file or directory",
        "app.service: Failed to locate executable /usr/local/bin/app: No such file or directory";
    Systemd NotExecutable, "Failed to locate executable {path}: Permission denied",
        "app.service: Failed to locate executable /usr/local/bin/app: Permission denied";
    Systemd errno, "Failed at step EXEC spawning {path}: {errno}",
        "app.service: Failed at step EXEC spawning /usr/local/bin/app: Exec format error";
    Systemd errno, "Failed to execute {path}: {errno}",
        "app.service: Failed to execute /usr/local/bin/app: Exec format error";
    Coreutils errno, "failed to run command {path}: {errno}",
        "timeout: failed to run command ‘/app’: Exec format error";
    Coreutils errno, "unable to execute {/path}: {errno}",
        "sudo: unable to execute /usr/local/bin/app: Exec format error";
    Shell errno, "exec: {path}: cannot execute: {errno}",
        "/entrypoint.sh: line 5: exec: /app: cannot execute: No such file or directory";
    Dash ShellDenied, "exec: {path}: Permission denied",
        "/entrypoint.sh: 3: exec: /app: Permission denied";
    Busybox CommandNotFound, "exec: line {#line}: {path}: not found",
        "/entrypoint.sh: exec: line 12: node: not found";
    Shell CommandNotFound, "exec: {path}: not found",
        "/entrypoint.sh: 12: exec: node: not found";
    Shell ShellDenied, "sh: {line}: {path}: Permission denied",
        "/bin/sh: 1: /app: Permission denied";
    Shell ShellDenied, "sh: {path}: Permission denied",
        "/bin/sh: /entrypoint.sh: Permission denied";
    Bash ShellDenied, "bash: {path}: Permission denied",
        "bash: line 1: /app: Permission denied";
    Shell CommandNotFound, "sh: {#line}: {path}: not found",
        "/bin/sh: 1: k6: not found";
    Busybox CommandNotFound, ": line {#line}: {=path}: not found",
        "/entrypoint.sh: line 4: k6: not found";
    Dash CommandNotFound, ": {#line}: {=path}: not found",
        "/docker-entrypoint.d/init: 4: k6: not found";
    Dash CommandNotFound, ": {#line}: {=script}: {=path}: not found",
        "/docker-entrypoint.d/init: 4: /docker-entrypoint.d/init: k6: not found";
    Shell CommandNotFound, "sh: {=path}: not found",
        "sh: k6: not found";
    Shell CommandNotFound, "zsh: command not found: {path}",
        "zsh: command not found: k6";
    Shell CommandNotFound, "Command '{=path}' not found, ",
        "Command 'k6' not found, did you mean:";
    Bash CommandNotFound, "{path}: command not found$",
        "bash: line 1: k6: command not found";
    Dash ScriptMissing, "sh: 0: cannot open {path}: No such file",
        "/bin/sh: 0: cannot open /entrypoint.sh: No such file";
    Dash ScriptMissing, "sh: 0: can't open {path}",
        "/bin/sh: 0: Can't open /entrypoint.sh";
    Busybox ScriptMissing, "sh: can't open '{path}': No such file or directory",
        "/bin/sh: can't open '/entrypoint.sh': No such file or directory";
    Bash NotExecutable, ": line {#line}: {/path}: Is a directory",
        "/usr/local/bin/start: line 3: /app: Is a directory";
    Bash NotExecutable, "bash: {/path}: Is a directory",
        "bash: /app: Is a directory";
    Bash Exec(EPERM), ": line {#line}: {/path}: Operation not permitted",
        "/usr/local/bin/docker-entrypoint.sh: line 102: /bin/vault: Operation not permitted";
    Bash ShellDenied, ": line {#line}: {/path}: Permission denied",
        "/usr/local/bin/start: line 3: /app/server: Permission denied";
    Dash ShellDenied, ": {#line}: {/path}: Permission denied",
        "/usr/local/bin/start: 3: /app/server: Permission denied";
    Shell FileBusy, "{/path}: Text file busy",
        "/bin/sh: 1: /app/server: Text file busy";
    Bash ShellFileMissing, ": line {#line}: {/path}: No such file or directory",
        "/usr/local/bin/start: line 3: ./server: No such file or directory";
    Bash ShellFileMissing, "bash: {/path}: No such file or directory",
        "bash: ./server: No such file or directory";
    Runtime errno, "exec {path}: {errno}",
        "exec /usr/local/bin/app: exec format error";
    Shell Exec(ELIBBAD), "{path}: Accessing a corrupted shared library",
        "sh: 1: /app: Accessing a corrupted shared library";
}
