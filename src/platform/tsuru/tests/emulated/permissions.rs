//! What the documentation says that the token needs is what it needs.

use super::*;
use crate::rollout::Autoscaler;

const README: &str = include_str!("../../../../../deploy/README.md");
const SCRIPT: &str = include_str!("../../../../../deploy/role.sh");

/// What reading takes, whatever else may be done.
const READ: [&str; 2] = ["app.read.info", "app.read.events"];

async fn bench(permissions: &[&str]) -> Bench {
    let permissions = permissions.iter().map(|&p| p.to_owned()).collect();
    let config =
        EmulatorConfig { speed: 50.0, daemon_permissions: Some(permissions), ..EmulatorConfig::default() };
    let bench = Bench::with(config).await;
    let scale = Act::SetAutoscale { process: "web".to_owned(), min: 2, max: 5, cpu: "700m".to_owned() };
    bench.emulator.act("shop", scale).await.unwrap();
    bench
}

/// Every command with the permission that it takes; each can be done on its own.
fn commands(autoscaler: &Autoscaler) -> Vec<(&'static str, Command)> {
    let web = || "web".to_owned();
    vec![
        ("app.update.routable", route(V2)),
        ("app.update.routable", unroute(V2)),
        ("app.update.unit.autoscale.swap", Command::MoveAutoscalers { version: V2 }),
        ("app.update.unit.autoscale.remove", Command::SuspendAutoscaler { process: web() }),
        ("app.update.unit.autoscale.add", Command::RestoreAutoscaler { autoscaler: autoscaler.clone() }),
        ("app.update.unit.add", add(V2, 1)),
        ("app.update.unit.remove", remove(V2, 1)),
        ("app.update.deploy.rollback", Command::Quarantine { version: V1, reason: "slow".to_owned() }),
        ("app.deploy.rollback", Command::MakeOnly { version: V2 }),
        ("app.update", Command::Delete { version: V2 }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_takes_one_permission_which_its_refusal_names() {
    let poor = bench(&READ).await;
    assert_eq!(poor.tsuru.base(&shop()).await.unwrap(), Some(V1));
    let mut observed = poor.tsuru.observe(&shop()).await.unwrap();
    let autoscaler = observed.autoscaled.remove(0);
    for (permission, command) in commands(&autoscaler) {
        let named = format!("give its role the permission `{permission}`");
        let shown = command.to_string();
        let error = poor.execute(command).await.unwrap_err();
        assert!(error.kind == Refused && error.message.ends_with(&named), "{shown}: {error}");
    }
    assert_eq!(poor.kinds().await.len(), 3, "nothing was done but to deploy twice and to scale");
    poor.emulator.shutdown().await;
    for (permission, command) in commands(&autoscaler) {
        let able = bench(&[READ[0], READ[1], permission]).await;
        if matches!(command, Command::AddUnits { .. } | Command::RemoveUnits { .. }) {
            let remove = Act::RemoveAutoscale { process: "web".to_owned() };
            able.emulator.act("shop", remove).await.unwrap();
        }
        let shown = command.to_string();
        able.execute(command).await.unwrap_or_else(|e| panic!("{shown} with {permission}: {e}"));
        able.emulator.shutdown().await;
    }
}

#[test]
fn the_documentation_and_the_script_name_every_permission() {
    let autoscaler = Autoscaler { process: "web".to_owned(), version: None, spec: String::new() };
    let of_commands = commands(&autoscaler).into_iter().map(|(permission, _)| permission);
    for permission in READ.into_iter().chain(of_commands) {
        assert!(README.contains(&format!("`{permission}`")), "deploy/README.md does not name {permission}");
        let words: Vec<&str> = SCRIPT.split([' ', '"', '\n']).collect();
        assert!(words.contains(&permission), "deploy/role.sh does not give {permission}");
    }
}
