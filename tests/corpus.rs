//! What fuzzing begins from and what it found: every file of `tests/fuzz/seeds/` goes through the same function as in its
//! fuzz target, as it is and damaged in ways that are the same in every run.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use uguisu::inputs::Input;

/// What is put where it does not belong: numbers that are none, words of the formats, ends of what did not begin.
const WORDS: [&[u8]; 40] = [
    b"NaN",
    b"+Inf",
    b"-Inf",
    b"1e999",
    b"-1",
    b"-0.0",
    b"0",
    b"1e12",
    b"1e13",
    b"1e308",
    b"5e-324",
    b"0.1",
    b"100%",
    b"18446744073709551616",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"4294967296",
    b"null",
    b"true",
    b"\"\"",
    b"[]",
    b"{}",
    b"{",
    b"}",
    b"]",
    b"\"",
    b"'",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b",",
    b":",
    b"#",
    b"%00",
    b"&",
    b"*",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
];

/// How many damaged copies of each seed are read: what there is time for.
fn copies(input: Input) -> u64 {
    match input {
        Input::Policy | Input::Lines | Input::Selector => 200,
        Input::Looks => 60,
        _ => 1_000,
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The seeds of one kind, in the order of their names.
fn seeds(input: Input) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = fuzz().join("seeds").join(input.name());
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(&file).unwrap())).collect()
}

/// One to four changes: bytes are changed, taken out, doubled, brought in from another seed, or replaced by [`WORDS`].
fn damage(bytes: &[u8], others: &[(PathBuf, Vec<u8>)], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let from = rng.random_range(0..=bytes.len());
        let to = (from + rng.random_range(0..16)).min(bytes.len());
        match rng.random_range(0..7) {
            0 => bytes[from..to].iter_mut().for_each(|byte| *byte ^= 1 << rng.random_range(0..8)),
            1 => drop(bytes.drain(from..to)),
            2 => {
                let part = bytes[from..to].to_vec();
                bytes.splice(to..to, part);
            }
            3 => {
                let other = &others.choose(rng).unwrap().1;
                let (a, b) = (rng.random_range(0..=other.len()), rng.random_range(0..=other.len()));
                bytes.splice(from..to, other[a.min(b)..a.max(b)].iter().copied());
            }
            4 => bytes.truncate(from),
            5 => replace_number(&mut bytes, from, rng),
            _ => drop(bytes.splice(from..to, WORDS.choose(rng).unwrap().iter().copied())),
        }
    }
    bytes
}

/// Another number in the place of the first one after `from`.
fn replace_number(bytes: &mut Vec<u8>, from: usize, rng: &mut StdRng) {
    let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e');
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
    let end =
        bytes[start..].iter().position(|byte| !is_part(byte)).map_or(bytes.len(), |length| start + length);
    bytes.splice(start..end, WORDS.choose(rng).unwrap().iter().copied());
}

fn check_all(input: Input) {
    let seeds = seeds(input);
    assert!(!seeds.is_empty(), "{} has no seeds", input.name());
    for (file, bytes) in &seeds {
        let name = file.display();
        assert_eq!(input.check(bytes), Ok(()), "{name}");
        for number in 0..copies(input) {
            let damaged = damage(bytes, &seeds, &mut StdRng::seed_from_u64(number));
            // A panic says nothing of what was read, so it is told here.
            let checked = std::panic::catch_unwind(|| input.check(&damaged));
            let checked = checked.unwrap_or_else(|_| Err("a panic".to_owned()));
            assert_eq!(checked, Ok(()), "{name}, damaged copy {number}:\n{}", damaged.escape_ascii());
        }
    }
}

#[test]
fn policies() {
    check_all(Input::Policy);
}

#[test]
fn selectors() {
    check_all(Input::Selector);
}

#[test]
fn lines_for_judge() {
    check_all(Input::Lines);
}

#[test]
fn looks() {
    check_all(Input::Looks);
}

#[test]
fn expositions() {
    check_all(Input::Exposition);
}

#[test]
fn answers_of_prometheus() {
    check_all(Input::Prometheus);
}

#[test]
fn alerts() {
    check_all(Input::Alertmanager);
}

#[test]
fn answers_of_tsuru() {
    check_all(Input::Tsuru);
}

#[test]
fn answers_of_a_deployer() {
    check_all(Input::Deployer);
}

#[test]
fn orders() {
    check_all(Input::Order);
}

#[test]
fn every_input_is_replayed_and_has_a_target() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let this = include_str!("corpus.rs");
    for input in Input::ALL {
        assert!(this.contains(&format!("check_all(Input::{input:?})")), "{input:?} is not replayed");
        let target = format!("targets/{}.rs", input.name());
        assert!(manifest.contains(&target), "tests/fuzz/Cargo.toml has no target for {}", input.name());
        let code = fs::read_to_string(fuzz().join(&target)).unwrap();
        assert!(code.contains(&format!("Input::{input:?}")), "{target} is not about {input:?}");
    }
}
