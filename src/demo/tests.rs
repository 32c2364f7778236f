//! The emulator over real HTTP: every endpoint's bytes, and whole canary rollouts as a client drives them.

use reqwest::Method;

use super::tsuru::{AppSpec, Phase};
use super::*;
use crate::words::{Span, Version};

mod contract;
mod in_process;
mod reads;
mod replicas;
mod rollout;
mod webhooks;
mod writes;

/// An emulator that goes fast, with an app `shop` of four ready units of `toy:good`.
struct Bench {
    emulator: Emulator,
    client: reqwest::Client,
}

/// An answer, read to its end.
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }
}

impl Bench {
    async fn start() -> Self {
        Self::with(Self::config()).await
    }

    fn config() -> EmulatorConfig {
        EmulatorConfig { speed: 50.0, ..EmulatorConfig::default() }
    }

    async fn with(config: EmulatorConfig) -> Self {
        let emulator = Emulator::start(config).await.expect("a loopback port is free");
        emulator.create_app(AppSpec::web("shop"), Some(("toy:good", 4))).expect("the name is free");
        // The provider may have been installed by another test already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { emulator, client }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.emulator.base_url());
        self.client
            .request(Method::from_bytes(method.as_bytes()).expect("a method"), url)
            .header("Authorization", format!("bearer {}", self.emulator.daemon_token()))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.expect("a whole body") }
    }

    async fn call(&self, method: &str, path: &str) -> Answer {
        self.send(self.request(method, path)).await
    }

    async fn form(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request(method, path).form(form)).await
    }

    /// Units as `version, base, ready, routable`, sorted.
    fn units(&self) -> Vec<(u32, bool, bool, bool)> {
        self.emulator.look(|core| {
            let app = core.app("shop").expect("the app");
            let mut units: Vec<_> = app
                .pods
                .iter()
                .map(|p| (p.version, p.key.slot == tsuru::Slot::Base, p.phase == Phase::Ready, p.routable))
                .collect();
            units.sort_unstable();
            units
        })
    }
}
