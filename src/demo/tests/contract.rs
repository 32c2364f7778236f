//! Refusals, routes and tokens, to the byte.

use super::*;

/// Method, path, form, status and body.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)], u16, &'static str);

const PLAIN: &str = "text/plain; charset=utf-8";

/// Without its version, the removal of an autoscaler is taken for that of a unit.
const NO_POD: &str = "Unable to find pod: pods \"autoscale\" not found\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_tsurus_status_and_text() {
    let bench = Bench::start().await;
    let cases: &[Case] = &[
        ("GET", "/1.0/apps/none", &[], 404, "App none not found.\n"),
        ("POST", "/1.0/apps/none/deploy", &[("image", "toy:good")], 404, "App not found\n"),
        (
            "PUT",
            "/1.0/apps/shop/units",
            &[("process", "web")],
            400,
            "You must provide the number of units.\n",
        ),
        (
            "PUT",
            "/1.0/apps/shop/units",
            &[("units", "0")],
            400,
            "Invalid number of units: the number must be an integer greater than 0.\n",
        ),
        (
            "DELETE",
            "/1.0/apps/shop/units?units=-1",
            &[],
            400,
            "Invalid number of units: the number must be an integer greater than 0.\n",
        ),
        (
            "POST",
            "/1.8/apps/shop/routable",
            &[("version", "v9"), ("isRoutable", "true")],
            400,
            "Invalid version: v9\n",
        ),
        ("POST", "/1.0/apps/shop/deploy/rollback", &[], 400, "you cannot rollback without an image name\n"),
        (
            "POST",
            "/1.0/apps/shop/deploy/rollback",
            &[("image", ":v1"), ("origin", "moon")],
            400,
            "Invalid deployment origin\n",
        ),
        (
            "POST",
            "/1.0/apps/shop/deploy/rollback",
            &[("image", "v9"), ("override-versions", "true")],
            500,
            "\n---- ERROR during deploy: ----\nInvalid version: v9\n\n",
        ),
        (
            "POST",
            "/1.0/apps/shop/deploy",
            &[],
            400,
            "You must provide at least one of: \"archive-url\", \"dockerfile\", \"image\" or \"file\"\n",
        ),
        (
            "POST",
            "/1.0/apps/shop/deploy",
            &[("image", "toy:good"), ("new-version", "true"), ("override-versions", "true")],
            500,
            "conflicting deploy flags, new-version and override-old-versions\n",
        ),
        (
            "PUT",
            "/1.4/apps/shop/deploy/rollback/update",
            &[("image", "v9"), ("disable", "true"), ("reason", "x")],
            400,
            "Invalid version: v9\n",
        ),
        (
            "PUT",
            "/1.4/apps/shop/deploy/rollback/update",
            &[("image", "v1"), ("disable", "true")],
            400,
            "Reason cannot be empty while disabling a image rollback\n",
        ),
        ("GET", "/1.1/events/webhooks", &[], 400, "uuid parameter is not ObjectId: webhooks\n"),
        ("GET", "/events/webhooks", &[], 400, "uuid parameter is not ObjectId: webhooks\n"),
        ("GET", "/1.1/events/66c4f1d2a1b2c3d4e5f60718", &[], 404, "event not found\n"),
        ("GET", "/1.0/deploys/66c4f1d2a1b2c3d4e5f60718", &[], 404, "Deploy not found.\n"),
        ("GET", "/1.0/deploys/x", &[], 500, "id parameter is not ObjectId: x\n"),
        ("POST", "/1.0/swap", &[], 412, "swapping is deprecated\n"),
        ("DELETE", "/apps/shop/units/autoscale", &[], 500, NO_POD),
        (
            "POST",
            "/1.29/apps/shop/units/autoscale/swap",
            &[("version", "7")],
            500,
            "could not swap the autoscale, make sure the version provided is currently deployed\n",
        ),
    ];
    for (method, path, form, status, body) in cases {
        let answer = bench.form(method, path, form).await;
        assert_eq!((answer.status, answer.body.as_str()), (*status, *body), "{method} {path} {form:?}");
        assert_eq!(answer.header("content-type"), PLAIN, "{method} {path}");
        assert_eq!(answer.header("supported-tsuru"), "1.0.1", "{method} {path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
    }
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_with_a_wrong_version_or_method_is_not_found() {
    let bench = Bench::start().await;
    for (method, path) in [
        ("GET", "/1.4/apps/shop"),
        ("GET", "/1.0/apps/shop/"),
        ("PATCH", "/1.0/apps/shop"),
        ("POST", "/1.0/apps/shop/routable"),
        ("GET", "/1.0/nothing"),
    ] {
        let answer = bench.call(method, path).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{method} {path}");
        assert_eq!(answer.header("supported-tsuru"), "", "{method} {path}");
    }
    assert_eq!(
        bench.call("GET", "/apps/shop").await.status,
        200,
        "a path without a version is served as well"
    );
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_valid_token_learns_nothing() {
    let bench = Bench::start().await;
    for path in ["/1.0/apps/shop", "/1.0/apps/none", "/1.1/events"] {
        for token in ["", "bearer wrong", "bearer a b"] {
            let url = format!("{}{path}", bench.emulator.base_url());
            let answer = bench.send(bench.client.get(url).header("Authorization", token)).await;
            assert_eq!(answer.status, 401);
            assert_eq!(answer.body, "You must provide a valid Authorization header\n");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"tsuru\" scope=\"tsuru\"");
        }
    }
    let answer = bench.send(bench.client.get(format!("{}/healthcheck", bench.emulator.base_url()))).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "WORKING"));
    bench.emulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_may_only_what_it_was_given() {
    let config = EmulatorConfig {
        daemon_permissions: Some(vec!["app.read".to_owned(), "app.update.unit".to_owned()]),
        ..Bench::config()
    };
    let bench = Bench::with(config).await;
    assert_eq!(bench.call("GET", "/1.0/apps/shop").await.status, 200);
    assert_eq!(bench.form("PUT", "/1.0/apps/shop/units", &[("units", "1")]).await.status, 200);
    let answer = bench.form("POST", "/1.8/apps/shop/routable", &[("version", ":v1")]).await;
    assert_eq!((answer.status, answer.body.as_str()), (403, "You don't have permission to do this action\n"));
    let answer = bench.form("POST", "/1.0/apps/shop/deploy", &[("image", "toy:good")]).await;
    let text = "User does not have permission to do this action in this app\n";
    assert_eq!((answer.status, answer.body.as_str()), (403, text));
    bench.emulator.shutdown().await;
}
