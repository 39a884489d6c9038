//! What cron gives its jobs: their users and its own PATH. Seen with Debian's cron 3.0, cronie 1.7 and BusyBox 1.35.

use super::{SupervisedService, Supervisor, entries, text_of};
use crate::exec::environment::variable;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::accounts::Account;
use crate::exec::launch::walk::StartWalk;
use crate::exec::log::{Certainty, Log, Risk};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};

/// The PATH of jobs whose table sets none.
const CRON_PATH: &str = "/usr/bin:/bin";

impl ExecMachine<'_> {
    /// Whether systemd-sysusers creates a user. Source: sysusers.d(5).
    fn is_made_at_boot(&self, user: &str) -> bool {
        let directories = ["/usr/lib/sysusers.d", "/etc/sysusers.d", "/run/sysusers.d"];
        let files = directories.into_iter().flat_map(|directory| entries(self, directory));
        let texts = files.filter_map(|(path, _)| text_of(self, &path));
        texts.into_iter().any(|text| text.split_whitespace().any(|word| word.trim_matches('"') == user))
    }

    /// Returns the services whose users are in the image. cron ignores the whole table of another one.
    pub(super) fn with_users(
        &self,
        log: &mut Log,
        kind: Supervisor,
        services: Vec<SupervisedService>,
        walk: &StartWalk,
    ) -> Vec<SupervisedService> {
        let mut kept = Vec::new();
        for service in services {
            let account = service.user.as_deref().map(|user| (user, self.account(user, walk)));
            let Some((user, Account::Missing(why))) = account else {
                kept.push(service);
                continue;
            };
            if kind == Supervisor::Systemd && self.is_made_at_boot(user) {
                kept.push(service);
                continue;
            }
            let (text, code) = match (kind == Supervisor::Systemd, user.starts_with('/')) {
                // systemd's EXIT_USER. Source: systemd.exec(5), "Process Exit Codes".
                (true, _) => (format!("the unit runs as {user}: {why}"), 217),
                (false, true) => {
                    (format!("the job names no user, so cron takes {user} for one; cron ignores the table"), 1)
                }
                (false, false) => (format!("the job runs as {user}: {why}; cron ignores the table"), 1),
            };
            let cause = Cause { kind: CauseKind::UnknownUser, text };
            let outcome = Outcome::Dies { death: Death::Exit(code), at: service.by.clone(), cause };
            let certainty = Certainty::Certain;
            log.risks.push(Risk { outcome, steps: Vec::new(), by: service.by, line: service.line, certainty });
        }
        kept
    }

    /// Replaces PATH by the one that cron sets, unless /etc/environment has another. BusyBox's crond and supercronic
    /// keep the image's.
    pub(super) fn give_path_of_cron(&self, argv: &[String], walk: &mut StartWalk) {
        let name = argv.first().map_or("", String::as_str);
        let path = self.on_path(name, &walk.env).and_then(|path| self.rootfs.resolve(&path).ok());
        let file = path.map(|id| lossy(self.rootfs.view(id).name)).unwrap_or_default();
        let sets_path = matches!(name.rsplit('/').next(), Some("cron" | "crond")) && !file.starts_with("busybox");
        if !sets_path {
            return;
        }
        let settings = text_of(self, "/etc/environment").unwrap_or_default();
        let own = settings.lines().find_map(|line| line.trim().strip_prefix("PATH="));
        let own = own.map(|path| path.trim_matches(['"', '\'']).to_string());
        if own.is_none() && !walk.is_open && !walk.has_new_environment {
            walk.image_path = variable(&walk.env, "PATH").map(Into::into);
        }
        if !walk.has_new_environment {
            walk.env.push(format!("PATH={}", own.as_deref().unwrap_or(CRON_PATH)));
        }
    }
}
