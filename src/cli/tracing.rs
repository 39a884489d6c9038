//! `-v` and `-vv`: logs to stderr. Only this program's events are logged, because they never contain credentials.
//! Events of its libraries could.

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;

use super::Terminal;

/// Installs the event writer, once per process. Without `-v` it writes only warnings, with `--quiet` nothing.
pub fn install(verbose: u8, terminal: &Terminal) {
    let level = match verbose {
        _ if terminal.quiet => return,
        0 => tracing::Level::WARN,
        1 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    let writer = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_ansi(false);
    let own = filter_fn(|event| event.target().starts_with("imgarch"));
    let subscriber = writer.without_time().with_target(verbose > 1).finish().with(own);
    // A second run within one process keeps the first one's writer.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
