//! Users that programs change to, and `su` and `runuser`, which start a user's shell. Source: su(1), runuser(1) and BusyBox's su.c.

use std::rc::Rc;

use crate::exec::kernel::access::{NoSuchUser, Who, config};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpret::{UNKNOWN, is_changeable, is_known};
use crate::exec::launch::perhaps::{plain, settle};
use crate::exec::launch::walk::{Ran, StartWalk};
use crate::exec::launch::wrapper::{self, FailureStyle};
use crate::exec::log::Log;
use crate::exec::outcome::{Death, Outcome};
use crate::exec::{Cause, CauseKind};

/// Options with a value.
const VALUED: &[&str] =
    &["-c", "--command", "-s", "--shell", "-g", "--group", "-G", "--supp-group", "-w", "--whitelist-environment"];

/// A call of `su`, or of `runuser` without `-u`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountCall {
    user: Option<String>,
    /// The text for the user's shell.
    text: Option<String>,
    shell: Option<String>,
    /// Starts a login shell, with a new environment.
    is_login: bool,
    /// The words for the shell after the user's name.
    words: Vec<String>,
}

impl AccountCall {
    /// `None` if the program is another one, or runs a command without a shell.
    pub(super) fn parse(name: &str, argv: &[String]) -> Option<AccountCall> {
        let runs_command = |word: &String| word == "-u" || word == "--user" || word.starts_with("--user=");
        match name {
            "su" => {}
            "runuser" if !argv.iter().take_while(|word| *word != "--").any(runs_command) => {}
            _ => return None,
        }
        let mut call = AccountCall::default();
        let mut operands: Vec<String> = Vec::new();
        let mut words = argv.iter().skip(1).cloned();
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if word.starts_with("--") => (name.to_string(), Some(value.to_string())),
                _ => (word.clone(), None),
            };
            match name.as_str() {
                "--" => {
                    operands.extend(words.by_ref());
                }
                "-" | "-l" | "--login" => call.is_login = true,
                option if VALUED.contains(&option) => {
                    let value = inline.or_else(|| words.next());
                    match option {
                        "-c" | "--command" => call.text = value,
                        "-s" | "--shell" => call.shell = value,
                        _ => {}
                    }
                }
                option if option.starts_with('-') => {}
                _ => operands.push(word),
            }
        }
        let mut operands = operands.into_iter();
        call.user = operands.next();
        call.words = operands.collect();
        Some(call)
    }
}

/// The user that a program changes to.
pub(crate) enum Account {
    /// The uid; unknown text if it is only known at run time.
    Uid(String),
    /// Why the image does not have it.
    Missing(String),
}

/// Sources of users in nsswitch.conf that do not need another table or server.
const LOCAL_SOURCES: &[&str] = &["files", "compat", "systemd", "nis", "altfiles"];

impl<'a> ExecMachine<'a> {
    /// The machine of a process that changed to `user`. `None` if the user is not known, or if an earlier command may
    /// have changed the owners or modes of files.
    pub(super) fn as_user(&self, user: &str, walk: &StartWalk) -> Option<ExecMachine<'a>> {
        let is_sure = is_known(user) && !is_changeable(user) && !walk.is_open && !walk.has_new_modes;
        let who = Who::parse(user, self.rootfs).ok().filter(|who| is_sure && *who != Who::Unknown)?;
        let (cwd, changes) = (self.cwd.clone(), Rc::clone(&self.changes));
        Some(ExecMachine { who, cwd, changes, ..*self })
    }

    /// Looks up a user: a name or a uid, perhaps with groups after a colon.
    pub(crate) fn account(&self, user: &str, walk: &StartWalk) -> Account {
        let unknown = || Account::Uid(UNKNOWN.to_string());
        let name = user.trim_start_matches(':').split(':').next().unwrap_or_default();
        if !is_known(user) || is_changeable(user) || name.is_empty() {
            return unknown();
        }
        match Who::parse(name, self.rootfs) {
            Ok(Who::Root) => Account::Uid("0".to_string()),
            Ok(Who::User { uid, .. }) => Account::Uid(uid.to_string()),
            Ok(Who::Unknown) => unknown(),
            // Without a table, one is probably mounted.
            Err(_) if config(self.rootfs, "/etc/passwd").is_none() => unknown(),
            Err(_) if walk.is_open || walk.has_new_accounts || self.has_other_users() => unknown(),
            Err(NoSuchUser(text)) => Account::Missing(text),
        }
    }

    /// Whether users may come from another source than /etc/passwd.
    fn has_other_users(&self) -> bool {
        let text = config(self.rootfs, "/etc/nsswitch.conf").unwrap_or_default();
        let line = text.lines().find_map(|line| line.trim().strip_prefix("passwd:")).unwrap_or_default();
        line.split_whitespace().any(|source| !source.starts_with('[') && !LOCAL_SOURCES.contains(&source))
    }

    /// Ends a program that changes to a user who does not exist.
    pub(super) fn refuse_user(
        &self,
        log: &mut Log,
        style: FailureStyle,
        name: &str,
        (user, text): (&str, String),
    ) -> Outcome {
        let (line, code) = wrapper::unknown_user(style, name, user);
        log.says.push(line);
        let cause =
            Cause { kind: CauseKind::UnknownUser, text: format!("{name} cannot change to the user {user}: {text}") };
        Outcome::Dies { death: Death::Exit(code), at: user.to_string(), cause }
    }

    /// Follows the shell that `su` starts.
    pub(super) fn follow_account(
        &self,
        log: &mut Log,
        ran: &Ran,
        call: &AccountCall,
        mut walk: StartWalk,
    ) -> Option<Outcome> {
        let user = call.user.as_deref().unwrap_or("root");
        let passwd = config(self.rootfs, "/etc/passwd").unwrap_or_default();
        let row = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|row| row[0] == user);
        let Some(row) = row else {
            if let Account::Missing(text) = self.account(user, &walk) {
                return Some(self.refuse_user(log, FailureStyle::UtilLinux, &ran.name, (user, text)));
            }
            log.open_end::<()>(&ran.name, format!("the user {user} is not in the image's /etc/passwd"));
            let text = call.text.as_deref().filter(|text| is_known(text))?;
            let argv = ["/bin/sh", "-c", text].map(str::to_string);
            let tried = self.try_out(log, &argv, plain(&ran.name), &walk);
            return if tried.is_broken() { settle(log, vec![tried]) } else { None };
        };
        let (home, own) = (row.get(5).copied().unwrap_or("/"), row.get(6).copied().unwrap_or_default().trim());
        // The caller's shell is only accepted for a user who may log in.
        let shell = call.shell.as_deref().unwrap_or(if own.is_empty() { "/bin/sh" } else { own });
        // They start nothing and exit with code 1. Seen with Debian's nologin and false.
        let is_closed = matches!(shell.rsplit('/').next(), Some("nologin" | "false"));
        if is_closed && is_known(user) && !walk.has_new_accounts && !walk.is_open {
            let text =
                format!("{} starts {shell}, the shell of {user}, which runs no command; -s names another", ran.name);
            let cause = Cause { kind: CauseKind::BadConfiguration, text };
            let is_nologin = shell.ends_with("nologin");
            log.says.extend(is_nologin.then(|| "This account is currently not available.".to_string()));
            return Some(Outcome::Dies { death: Death::Exit(1), at: "/etc/passwd".to_string(), cause });
        }
        if call.text.is_none() && call.words.is_empty() && walk.stdin.is_none() {
            return log.open_end(&ran.name, "it starts a shell that reads its commands from standard input");
        }
        if call.is_login {
            walk.env.retain(|line| line.starts_with("TERM="));
            // Its value is in /etc/login.defs or compiled in.
            walk.env.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_string());
        }
        walk.env.extend([format!("HOME={home}"), format!("SHELL={shell}"), format!("USER={user}")]);
        walk.user = match self.account(user, &walk) {
            Account::Uid(uid) => Some(uid),
            Account::Missing(_) => Some(UNKNOWN.to_string()),
        };
        let machine = self.as_user(user, &walk);
        let machine = machine.as_ref().unwrap_or(self);
        let text = call.text.iter().flat_map(|text| ["-c".to_string(), text.clone()]);
        let argv: Vec<String> = std::iter::once(shell.to_string()).chain(text).chain(call.words.clone()).collect();
        Some(machine.run_command(log, shell, &argv, plain(&ran.name), &walk))
    }
}

#[cfg(test)]
mod tests {
    use super::AccountCall;

    #[test]
    fn a_call_names_a_user_a_shell_and_a_text() {
        let check = |line: &str, expected: Option<(&str, Option<&str>, Option<&str>, bool)>| {
            let argv: Vec<String> = line.split('|').map(str::to_string).collect();
            let call = AccountCall::parse(&argv[0], &argv);
            let found = call.as_ref().map(|call| {
                (call.user.as_deref().unwrap_or("-"), call.text.as_deref(), call.shell.as_deref(), call.is_login)
            });
            assert_eq!(found, expected, "{line}");
        };
        check("su|-s|/bin/sh|web|-c|exec app", Some(("web", Some("exec app"), Some("/bin/sh"), false)));
        check("su|-|web|--command=app", Some(("web", Some("app"), None, true)));
        check("su|-c|app", Some(("-", Some("app"), None, false)));
        check("runuser|-l|web|-c|app", Some(("web", Some("app"), None, true)));
        check("runuser|-u|web|--|app", None);
        check("gosu|web|app", None);
    }
}
