//! The delivery: one task a receiver, so that none waits for another.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::{Next, attempt, follow};
use super::config::{DeliveryConfig, Receiver, Receivers};
use crate::store::{Claim, Store, StoreError};
use crate::web::Metrics;
use crate::words::{Span, Time};

/// The longest sleep: a message is never missed for longer, whatever became of the call to wake up.
const LONGEST_SLEEP: Span = Span::minutes(1);

/// How long to leave the journal alone after it failed.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// How long running attempts may go on after the call to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Delivers what is in the outbox until `stop`.
///
/// What waits for receivers that are not configured any more is given up at once, and said.
///
/// # Errors
/// When no HTTP client can be made: the system's certificates cannot be read.
pub async fn deliver<N>(
    receivers: Receivers,
    store: Store,
    metrics: Arc<Metrics>,
    now: N,
    stop: CancellationToken,
) -> Result<(), reqwest::Error>
where
    N: Fn() -> Time + Clone + Send + Sync + 'static,
{
    let client = Client::builder()
        .user_agent(concat!("uguisu/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .timeout(receivers.delivery.timeout.as_duration())
        .build()?;
    let post = Post { client, config: receivers.delivery, store, metrics, now };
    let mut tasks = JoinSet::new();
    if let Err(error) = post.drop_strangers(&receivers.all).await {
        tracing::error!(%error, "messages for receivers that are gone could not be looked up");
    }
    for receiver in receivers.all {
        post.metrics.delivers_to(&receiver.name);
        tasks.spawn(post.clone().serve(Arc::new(receiver), stop.clone()));
    }
    tasks.join_all().await;
    Ok(())
}

/// What every receiver's task shares.
#[derive(Clone)]
struct Post<N> {
    client: Client,
    config: DeliveryConfig,
    store: Store,
    metrics: Arc<Metrics>,
    now: N,
}

impl<N> Post<N>
where
    N: Fn() -> Time + Clone + Send + Sync + 'static,
{
    /// Delivers one receiver's messages until `stop`.
    async fn serve(self, receiver: Arc<Receiver>, stop: CancellationToken) {
        let mut news = self.store.outbox_news();
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            let sleep = match self.start_due(&receiver, &mut running).await {
                Ok(sleep) => sleep,
                Err(StoreError::Closed) => break,
                Err(error) => {
                    tracing::error!(receiver = receiver.name, %error, "the outbox cannot be used");
                    AFTER_TROUBLE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                _ = news.changed() => {}
                Some(_) = running.join_next() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
        // What is cut off here is due again after its lease: it may arrive twice, under the same id.
        let _cut_off = tokio::time::timeout(GRACE, running.join_all()).await;
    }

    /// Starts as many attempts as are due and allowed; says how long to sleep if nothing else happens.
    async fn start_due(
        &self,
        receiver: &Arc<Receiver>,
        running: &mut JoinSet<()>,
    ) -> Result<Duration, StoreError> {
        let free = self.config.at_once.saturating_sub(u32::try_from(running.len()).unwrap_or(u32::MAX));
        if free == 0 {
            return Ok(LONGEST_SLEEP.as_duration());
        }
        // Nobody claims a message while it is sent: the lease is longer than an attempt can take.
        let lease = Span(self.config.timeout.0.saturating_mul(2).saturating_add(30_000));
        let horizon = Span(lease.0.saturating_add(self.config.longest_retry.0.saturating_mul(2)));
        for claim in self.store.claim(&receiver.name, (self.now)(), lease, horizon, free).await? {
            let (post, receiver) = (self.clone(), Arc::clone(receiver));
            running.spawn(async move { post.send(&receiver, &claim).await });
        }
        let waiting = self.store.reader().waiting().await?.into_iter().find(|w| w.receiver == receiver.name);
        self.metrics.outbox_waiting(&receiver.name, waiting.as_ref().map_or(0, |w| w.messages));
        let sleep = waiting.map_or(LONGEST_SLEEP, |w| w.next_due.since((self.now)()));
        // At least a moment: where a message is due but all places are taken, an attempt's end wakes us.
        Ok(sleep.clamp(Span(10), LONGEST_SLEEP).as_duration())
    }

    async fn send(&self, receiver: &Receiver, claim: &Claim) {
        let met = attempt(&self.client, receiver, claim, (self.now)()).await;
        let next = follow(&self.config, claim, met, (self.now)());
        if let Err(error) = self.settle(receiver, claim, next).await {
            tracing::error!(receiver = receiver.name, id = claim.id, %error, "an attempt's outcome was not kept");
        }
    }

    async fn settle(&self, receiver: &Receiver, claim: &Claim, next: Next) -> Result<(), StoreError> {
        let name = receiver.name.as_str();
        match next {
            Next::Done => {
                self.metrics.delivered(name);
                self.store.delivered(name, &claim.id, (self.now)()).await
            }
            Next::Retry { at, error } => {
                tracing::warn!(
                    receiver = name,
                    id = claim.id,
                    attempts = claim.attempts,
                    error,
                    "a message waits"
                );
                self.metrics.delivery_failed(name);
                self.store.retry(name, &claim.id, at, &error).await
            }
            Next::GiveUp { error } => {
                tracing::error!(
                    receiver = name,
                    id = claim.id,
                    attempts = claim.attempts,
                    error,
                    "a message was given up"
                );
                self.metrics.given_up(name, 1);
                self.store.give_up(name, &claim.id, (self.now)(), &error).await
            }
        }
    }

    /// Gives up what waits for receivers that are not configured.
    async fn drop_strangers(&self, known: &[Receiver]) -> Result<(), StoreError> {
        for waiting in self.store.reader().waiting().await? {
            if known.iter().any(|r| r.name == waiting.receiver) {
                continue;
            }
            tracing::error!(
                receiver = waiting.receiver,
                messages = waiting.messages,
                "messages were given up: their receiver is not configured"
            );
            self.metrics.given_up(&waiting.receiver, waiting.messages);
            self.store.give_up_all(&waiting.receiver, (self.now)(), "the receiver is not configured").await?;
        }
        Ok(())
    }
}
