//! The house keeps its shape: the core stays pure, files stay small, nothing speaks of what it should not.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules that decide. They get everything passed in.
const CORE: [&str; 5] = ["words", "stats", "policy", "judge", "rollout"];

/// What the core may not name: I/O, clocks, randomness, async, and the shell's modules.
const IMPURE: [&str; 28] = [
    "tokio",
    "reqwest",
    "sqlx",
    "axum",
    "notify::",
    "rand::",
    "rand_distr",
    "std::fs",
    "std::net",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "Instant::now",
    "async fn",
    ".await",
    "crate::signal",
    "crate::platform",
    "crate::store",
    "crate::engine",
    "crate::notify",
    "crate::web",
    "crate::demo",
    "crate::cli",
    "crate::rules",
    "crate::simulate",
];

/// Lines after which a file should have become two.
const LONGEST: usize = 600;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The code of a file without its comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_core_is_pure() {
    let mut broken = Vec::new();
    for path in sources(&src()) {
        let inside = path.strip_prefix(src()).unwrap().to_string_lossy().into_owned();
        let first = inside.split(['/', '.']).next().unwrap();
        // A core module's tests may use what they need.
        if !CORE.contains(&first) || inside.ends_with("tests.rs") || inside.contains("/tests/") {
            continue;
        }
        let code = code(&path);
        let code = code.split("#[cfg(test)]").next().unwrap();
        broken.extend(
            IMPURE.iter().filter(|word| code.contains(**word)).map(|word| format!("{inside} uses {word}")),
        );
    }
    assert!(broken.is_empty(), "the core must stay pure:\n{}", broken.join("\n"));
}

#[test]
fn the_map_names_every_module() {
    let map = fs::read_to_string(src().join("lib.rs")).unwrap();
    let modules: Vec<&str> =
        map.lines().filter_map(|l| l.strip_prefix("pub mod ")).map(|l| l.trim_end_matches(';')).collect();
    assert!(modules.len() > 10, "the modules are listed in lib.rs");
    for module in modules {
        assert!(map.contains(&format!("//! | [`{module}`]")), "`{module}` has no row in the map of lib.rs");
    }
}

#[test]
fn every_file_fits_a_head() {
    let long: Vec<String> = sources(&src())
        .into_iter()
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, path)| format!("{} has {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "split what has grown past {LONGEST} lines:\n{}", long.join("\n"));
}

#[test]
fn the_readme_shows_a_policy_that_is_shipped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let shipped = fs::read_to_string(root.join("rules/web.yaml")).unwrap();
    let shown = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(shipped.ends_with(shown), "README.md shows another policy than rules/web.yaml");
}
