//! The routes, in the order in which Tsuru registers them. Each is served under one exact version and without any; a path
//! without a version goes to the first that fits.

use axum::http::Method;

/// What a route leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Info,
    UserInfo,
    Apps,
    App,
    DeleteApp,
    Restart,
    Start,
    Stop,
    DeleteVersion,
    SetEnv,
    AddUnits,
    RemoveUnits,
    Autoscale,
    SetAutoscale,
    SwapAutoscale,
    RemoveAutoscale,
    KillUnit,
    Rollback,
    UpdateRollback,
    Rebuild,
    Routable,
    Deploys,
    DeployInfo,
    Events,
    Blocks,
    AddBlock,
    RemoveBlock,
    Kinds,
    Event,
    CancelEvent,
    Webhooks,
    CreateWebhook,
    Webhook,
    UpdateWebhook,
    DeleteWebhook,
    Deploy,
    Swap,
    Healthcheck,
    Metrics,
}

impl Endpoint {
    /// Whether it changes something that takes time: calls that wait for an app's lock.
    pub(super) fn writes(self) -> bool {
        matches!(
            self,
            Self::DeleteApp
                | Self::Restart
                | Self::Start
                | Self::Stop
                | Self::DeleteVersion
                | Self::SetEnv
                | Self::AddUnits
                | Self::RemoveUnits
                | Self::SetAutoscale
                | Self::SwapAutoscale
                | Self::RemoveAutoscale
                | Self::KillUnit
                | Self::Rollback
                | Self::UpdateRollback
                | Self::Routable
                | Self::Deploy
        )
    }
}

type Route = (&'static str, &'static str, &'static str, Endpoint);

/// Version, method, path and endpoint, in Tsuru's order.
const ROUTES: [Route; 39] = [
    ("1.0", "GET", "/info", Endpoint::Info),
    ("1.0", "GET", "/users/info", Endpoint::UserInfo),
    ("1.0", "GET", "/apps", Endpoint::Apps),
    ("1.0", "GET", "/apps/{app}", Endpoint::App),
    ("1.0", "DELETE", "/apps/{app}", Endpoint::DeleteApp),
    ("1.0", "POST", "/apps/{app}/restart", Endpoint::Restart),
    ("1.0", "POST", "/apps/{app}/start", Endpoint::Start),
    ("1.0", "POST", "/apps/{app}/stop", Endpoint::Stop),
    ("1.10", "DELETE", "/apps/{app}/versions/{version}", Endpoint::DeleteVersion),
    ("1.0", "POST", "/apps/{app}/env", Endpoint::SetEnv),
    ("1.0", "PUT", "/apps/{app}/units", Endpoint::AddUnits),
    ("1.0", "DELETE", "/apps/{app}/units", Endpoint::RemoveUnits),
    ("1.9", "GET", "/apps/{app}/units/autoscale", Endpoint::Autoscale),
    ("1.9", "POST", "/apps/{app}/units/autoscale", Endpoint::SetAutoscale),
    ("1.29", "POST", "/apps/{app}/units/autoscale/swap", Endpoint::SwapAutoscale),
    // Before the removal of an autoscaler: without a version, Tsuru takes `autoscale` for the name of a unit.
    ("1.12", "DELETE", "/apps/{app}/units/{unit}", Endpoint::KillUnit),
    ("1.9", "DELETE", "/apps/{app}/units/autoscale", Endpoint::RemoveAutoscale),
    ("1.0", "POST", "/apps/{app}/deploy/rollback", Endpoint::Rollback),
    ("1.4", "PUT", "/apps/{app}/deploy/rollback/update", Endpoint::UpdateRollback),
    ("1.3", "POST", "/apps/{app}/deploy/rebuild", Endpoint::Rebuild),
    ("1.8", "POST", "/apps/{app}/routable", Endpoint::Routable),
    ("1.0", "GET", "/deploys", Endpoint::Deploys),
    ("1.0", "GET", "/deploys/{deploy}", Endpoint::DeployInfo),
    ("1.1", "GET", "/events", Endpoint::Events),
    ("1.3", "GET", "/events/blocks", Endpoint::Blocks),
    ("1.3", "POST", "/events/blocks", Endpoint::AddBlock),
    ("1.3", "DELETE", "/events/blocks/{uuid}", Endpoint::RemoveBlock),
    ("1.1", "GET", "/events/kinds", Endpoint::Kinds),
    ("1.1", "GET", "/events/{uuid}", Endpoint::Event),
    ("1.1", "POST", "/events/{uuid}/cancel", Endpoint::CancelEvent),
    ("1.6", "GET", "/events/webhooks", Endpoint::Webhooks),
    ("1.6", "POST", "/events/webhooks", Endpoint::CreateWebhook),
    ("1.6", "GET", "/events/webhooks/{name}", Endpoint::Webhook),
    ("1.6", "PUT", "/events/webhooks/{name}", Endpoint::UpdateWebhook),
    ("1.6", "DELETE", "/events/webhooks/{name}", Endpoint::DeleteWebhook),
    ("1.0", "POST", "/apps/{appname}/deploy", Endpoint::Deploy),
    ("1.0", "POST", "/swap", Endpoint::Swap),
    ("1.0", "GET", "/healthcheck", Endpoint::Healthcheck),
    ("1.2", "GET", "/metrics", Endpoint::Metrics),
];

/// A route that fits, with the values of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) endpoint: Endpoint,
    parameters: Vec<(&'static str, String)>,
}

impl Found {
    /// The value of a parameter of the path.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }
}

/// The route for a request; nothing where there is none, which also is the answer to a wrong method or version.
pub(super) fn find(method: &Method, path: &str) -> Option<Found> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    let (version, path) = if !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        (Some(first), &path[1 + first.len()..])
    } else {
        (None, path)
    };
    ROUTES
        .iter()
        .filter(|(exact, verb, _, _)| *verb == method.as_str() && version.is_none_or(|v| v == *exact))
        .find_map(|(_, _, pattern, endpoint)| {
            matches(pattern, path).map(|parameters| Found { endpoint: *endpoint, parameters })
        })
}

fn matches(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some(wanted), Some(given)) => {
                if let Some(name) = wanted.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
                    if given.is_empty() {
                        return None;
                    }
                    parameters.push((name, super::input::percent_decode(given)));
                } else if wanted != given {
                    return None;
                }
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(method: &str, path: &str) -> Option<Endpoint> {
        find(&method.parse().expect("a method"), path).map(|found| found.endpoint)
    }

    #[test]
    fn only_the_exact_version_leads_to_a_route() {
        assert_eq!(endpoint("GET", "/1.0/apps/x"), Some(Endpoint::App));
        assert_eq!(endpoint("GET", "/apps/x"), Some(Endpoint::App));
        for path in [
            "/1.4/apps/x",
            "/1.00/apps/x",
            "/1/apps/x",
            "/1.0/apps/x/",
            "/1.0//apps/x",
            "/1.0/apps/",
            "/",
            "",
        ] {
            assert_eq!(endpoint("GET", path), None, "{path}");
        }
        assert_eq!(endpoint("POST", "/1.0/apps/x"), None);
        assert_eq!(endpoint("POST", "/1.8/apps/x/routable"), Some(Endpoint::Routable));
        assert_eq!(endpoint("POST", "/1.0/apps/x/routable"), None);
    }

    #[test]
    fn a_path_without_a_version_goes_to_the_first_that_fits() {
        assert_eq!(endpoint("DELETE", "/apps/x/units/autoscale"), Some(Endpoint::KillUnit));
        assert_eq!(endpoint("DELETE", "/1.9/apps/x/units/autoscale"), Some(Endpoint::RemoveAutoscale));
        assert_eq!(endpoint("GET", "/events/webhooks"), Some(Endpoint::Event));
        assert_eq!(endpoint("GET", "/1.6/events/webhooks"), Some(Endpoint::Webhooks));
        assert_eq!(endpoint("GET", "/events/blocks"), Some(Endpoint::Blocks));
    }

    #[test]
    fn parameters_are_decoded() {
        let found = find(&Method::DELETE, "/1.10/apps/shop/versions/%3Av2").expect("a route");
        assert_eq!((found.parameter("app"), found.parameter("version")), (Some("shop"), Some(":v2")));
    }
}
