//! The API of the emulated Tsuru over HTTP: routes by their exact versions, authentication, answers to the byte.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::install::Install;
use super::tsuru::{Caller, Failure};

mod admin;
mod hooks;
mod input;
mod reads;
mod routes;
mod stream;
mod template;
mod wire;
mod writes;

pub(super) use hooks::deliver;
pub(super) use wire::apps::{autoscales, gaps};

use input::Input;
use routes::{Endpoint, Found};

/// Who may do what.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// The secret that the client sends.
    pub(super) secret: String,
    /// The id of the team token, or the user's name.
    pub(super) name: String,
    /// It is a team token; else a user's.
    pub(super) team: bool,
    /// The permissions that it holds, with all that are below them; nothing: every one.
    pub(super) permissions: Option<Vec<String>>,
}

impl Token {
    /// Whether it holds `permission` or a parent of it.
    fn may(&self, permission: &str) -> bool {
        self.permissions.as_ref().is_none_or(|held| {
            held.iter().any(|h| {
                permission.strip_prefix(h.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('.'))
            })
        })
    }

    fn caller(&self, input: &Input) -> Caller {
        let (address, replica) = (input.address.clone(), input.replica);
        Caller { name: self.name.clone(), token: self.team, address, replica }
    }
}

/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 1 << 20;

/// Everything that one replica of the API serves on its address.
pub(super) fn router(install: Arc<Install>, replica: usize) -> Router {
    let serve = async move |State(install), request| serve(install, replica, request).await;
    Router::new().nest("/emulator", admin::router()).fallback(serve).with_state(install)
}

/// One request to the API.
async fn serve(install: Arc<Install>, replica: usize, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(found) = routes::find(&parts.method, parts.uri.path()) else {
        return error(StatusCode::NOT_FOUND, "404 page not found");
    };
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return supported(error(StatusCode::BAD_REQUEST, "unable to read the request body"));
    };
    let input = Input::new(&parts, &body, replica);
    let open = matches!(found.endpoint, Endpoint::Healthcheck | Endpoint::Metrics);
    let (met, slow) = {
        let mut now = install.now();
        let at = now.at;
        let slow = now.core.fires(|faults| &mut faults.slow).then(|| now.core.config().faults.slow_for);
        (now.core.door(at), slow)
    };
    if let Some(slow) = slow {
        tokio::select! {
            () = tokio::time::sleep(slow.as_duration()) => {}
            () = install.stop.cancelled() => {}
        }
    }
    match met {
        // Nobody is asked for a token there.
        Some(Failure { status: 401, .. }) if open => {}
        Some(Failure { status: 401, .. }) => return supported(unauthorized()),
        Some(_) => return plain(StatusCode::BAD_GATEWAY, "text/html", BAD_GATEWAY),
        None => {}
    }
    supported(answer(install, found, input).await.unwrap_or_else(|failure| failed(&failure)))
}

/// The answer to a request whose route is known.
async fn answer(install: Arc<Install>, found: Found, input: Input) -> Result<Response, Failure> {
    match found.endpoint {
        Endpoint::Healthcheck => return Ok(reads::healthcheck(&install, &input)),
        Endpoint::Metrics => return Ok(reads::metrics(&install)),
        _ => {}
    }
    let token = input.token().and_then(|secret| install.tokens.iter().find(|t| t.secret == secret)).cloned();
    // Only a valid token is told that an app does not exist.
    if let (Some(_), Some(app)) = (&token, found.parameter("app"))
        && install.now().core.app(app).is_none()
    {
        return Err(refuse(404, &format!("App {app} not found.")));
    }
    let Some(token) = token else {
        return Ok(unauthorized());
    };
    if found.endpoint.writes() {
        writes::answer(install, &token, &found, &input).await
    } else {
        reads::answer(&install, &token, &found, &input)
    }
}

/// What a proxy before the platform says.
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway\
                           </h1></center>\r\n</body>\r\n</html>\r\n";

/// The answer to whoever has no valid token.
fn unauthorized() -> Response {
    let mut response = error(StatusCode::UNAUTHORIZED, "You must provide a valid Authorization header");
    let realm = HeaderValue::from_static("Bearer realm=\"tsuru\" scope=\"tsuru\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    response
}

/// Every routed answer says which clients the install supports.
fn supported(mut response: Response) -> Response {
    response.headers_mut().insert("supported-tsuru", HeaderValue::from_static("1.0.1"));
    response
}

/// A refusal with a status and a text.
fn refuse(status: u16, text: &str) -> Failure {
    Failure { status, text: text.to_owned() }
}

/// A failure before anything was written.
fn failed(failure: &Failure) -> Response {
    error(StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &failure.text)
}

/// As Go's `http.Error`.
fn error(status: StatusCode, text: &str) -> Response {
    let mut response = plain(status, "text/plain; charset=utf-8", format!("{text}\n"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn plain(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer that is a status and nothing else.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A JSON answer.
fn json(value: &impl serde::Serialize) -> Response {
    plain(StatusCode::OK, "application/json", wire::json_line(value))
}

/// The refusal of a call that the token may not make.
fn check(token: &Token, permission: &str) -> Result<(), Failure> {
    if token.may(permission) {
        Ok(())
    } else {
        Err(refuse(403, "You don't have permission to do this action"))
    }
}
