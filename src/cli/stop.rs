//! Being told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` at the first SIGTERM or SIGINT. A second one ends the process at once, as if it had been killed:
/// the journal stands that.
///
/// # Errors
/// When the system does not let signals be listened for.
pub(super) fn on_signal(stop: CancellationToken) -> std::io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut next = async || tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} };
        next().await;
        stop.cancel();
        next().await;
        std::process::exit(130);
    });
    Ok(())
}
