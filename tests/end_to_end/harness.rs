//! What the tests stand on: processes, a stage with all of them, and ways to wait.

mod observed;
mod process;
mod servers;
mod stage;

pub(crate) use observed::Story;
pub(crate) use process::Process;
pub(crate) use servers::{Alertmanager, Prometheus, installed};
pub(crate) use stage::{Setup, Source, Stage, policy, policy_of};

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many tests have processes at the same time. The tests compute little themselves; what they start does.
const AT_ONCE: usize = 3;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// How long anything may take that does not say otherwise: many times what it takes on an idle machine.
pub(crate) const SOON: Duration = Duration::from_mins(2);

/// How long a rollout may take from its deploy to its end.
pub(crate) const ROLLOUT: Duration = Duration::from_mins(5);

/// The time between two questions while something is waited for.
const AGAIN: Duration = Duration::from_millis(100);

/// Waits for the turn to start processes.
pub(crate) async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.expect("nobody closes it")
}

/// Asks until there is an answer, and gives it. Panics with `what` where none comes `within` that time.
pub(crate) async fn until<T>(what: &str, within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "this did not come within {within:?}: {what}");
        tokio::time::sleep(AGAIN).await;
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port()
}

/// A client for what the tests ask themselves.
pub(crate) fn client() -> reqwest::Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(SOON);
    client.build().expect("a client")
}
