//! What fuzzing found stays found: every seed of `tests/fuzz/seeds/` goes through the same function as in its fuzz target.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

use uguisu::inputs::Input;

#[test]
fn every_seed_is_answered_as_it_must() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
    let mut broken = Vec::new();
    for input in Input::ALL {
        let files: Vec<_> =
            fs::read_dir(seeds.join(input.name())).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} has no seeds", input.name());
        for file in files {
            if let Err(why) = input.check(&fs::read(&file).unwrap()) {
                broken.push(format!("{}: {why}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_input_has_a_target() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for input in Input::ALL {
        let target = format!("targets/{}.rs", input.name());
        assert!(manifest.contains(&target), "tests/fuzz/Cargo.toml has no target for {}", input.name());
        let code = fs::read_to_string(fuzz.join(&target)).unwrap();
        assert!(code.contains(&format!("Input::{input:?}")), "{target} is not about {input:?}");
    }
}
