use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

fn policy(name: &str, margin: &str) -> String {
    format!(
        "policy: {name}\nfor: {{ apps: [{name}] }}\nstrategy: {{ canary: {{ steps: [5%] }} }}\n\
         signals: [{{ use: http-errors, margin: {margin} }}]\n"
    )
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

#[test]
fn a_directory_holds_a_policy_a_file() {
    let directory = directory(&[
        ("b.yml", &policy("b", "+20%")),
        ("a.yaml", &policy("a", "+20%")),
        ("README.md", "no policy"),
        (".hidden.yaml", "no policy"),
    ]);
    fs::create_dir(directory.path().join("deep.yaml")).expect("made");
    // A file that is named twice is read once.
    let loaded = load(&[directory.path().to_owned(), directory.path().join("a.yaml")]);
    let set = loaded.set().expect("no errors");
    assert_eq!(set.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn what_cannot_be_used_is_said() {
    let directory = directory(&[
        ("a.yaml", &policy("same", "+20%")),
        ("b.yaml", &policy("same", "+20%")),
        ("c.yaml", &policy("c", "20")),
    ]);
    fs::write(directory.path().join("d.yaml"), [0xff, 0xfe]).expect("written");
    fs::write(directory.path().join("e.yaml"), "é".repeat(1 << 20)).expect("written");
    let loaded = load(&[directory.path().to_owned(), directory.path().join("missing.yaml")]);
    assert_eq!(loaded.set(), None);
    let errors = loaded.errors().join("\n").replace(&*directory.path().to_string_lossy(), "rules");
    for expected in [
        "`rules/missing.yaml`: it does not exist",
        "`rules/d.yaml`: line 1 is not UTF-8 text; save the file as UTF-8",
        "`rules/e.yaml`: it is far too large",
        "rules/c.yaml:4:39: `20` has no unit",
        "`same` is given by rules/a.yaml and rules/b.yaml",
    ] {
        assert!(errors.contains(expected), "{expected} in {errors}");
    }
}

#[test]
fn a_daemon_does_not_begin_with_errors() {
    let directory = directory(&[("a.yaml", "policy: a")]);
    let error = Rules::open(vec![directory.path().to_owned()]).expect_err("errors").to_string();
    for expected in ["the key `for` is missing", "a.yaml:1:1", "1 │ policy: a"] {
        assert!(error.contains(expected), "{expected} in {error}");
    }
}

#[tokio::test]
async fn the_last_good_set_stays_in_force() {
    let directory = directory(&[("a.yaml", &policy("a", "+20%"))]);
    let rules = Rules::open(vec![directory.path().to_owned()]).expect("good");
    let (mut set, errors) = (rules.subscribe(), rules.errors());
    let margin = |set: &PolicySet| set.get("a").map(|policy| policy.signals[0].margin);

    fs::write(directory.path().join("a.yaml"), policy("a", "20")).expect("written");
    rules.reload().await;
    assert!(!set.has_changed().expect("open"));
    assert!(errors.borrow()[0].contains("has no unit"), "{:?}", errors.borrow());

    fs::write(directory.path().join("a.yaml"), policy("a", "+30%")).expect("written");
    rules.reload().await;
    assert_eq!(margin(&set.borrow_and_update()), Some(0.3));
    assert!(errors.borrow().is_empty());

    rules.reload().await;
    assert!(!set.has_changed().expect("open"), "the same files are no change");
}

#[tokio::test]
async fn a_change_on_disk_is_noticed() {
    let directory = directory(&[("a.yaml", &policy("a", "+20%"))]);
    let rules = Rules::open(vec![directory.path().to_owned()]).expect("good");
    let mut set = rules.subscribe();
    let stop = CancellationToken::new();
    let follow = rules.follow(stop.clone());
    let change = async {
        // Whether the watcher stands already is not known here, so the file changes until it is noticed.
        for n in 0..100 {
            fs::write(directory.path().join("new"), policy("b", &format!("+{n}%"))).expect("written");
            fs::rename(directory.path().join("new"), directory.path().join("b.yaml")).expect("renamed");
            if tokio::time::timeout(Duration::from_millis(500), set.changed()).await.is_ok() {
                break;
            }
        }
        stop.cancel();
    };
    tokio::join!(follow, change);
    assert!(set.borrow().get("b").is_some());
}
