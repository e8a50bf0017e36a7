//! Every reader on its seeds, and on what becomes of them when bytes are changed, cut out and repeated: a moment's fuzzing that
//! needs no other compiler, or as many runs as `DRAGENTITY_HOSTILE_RUNS` says. `scripts/fuzz` goes on where this ends, and knows
//! which inputs reach something new.
#![cfg(not(target_family = "wasm"))]

use dragentity_hostile::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use std::path::{Path, PathBuf};

/// How often each is fed, unless the environment says how often.
const RUNS: u32 = 400;

/// How often each is fed.
fn runs() -> u32 {
    let told = std::env::var("DRAGENTITY_HOSTILE_RUNS").ok();
    told.map_or(RUNS, |told| told.parse().unwrap())
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(fuzz().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = fuzz().join("seeds").join(target.name);
    let files = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    // Folders are listed in any order, and a failure is to be the same again.
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn every_target_can_be_fuzzed_and_has_seeds() {
    let mut all: Vec<String> = TARGETS.iter().map(|t| t.name.to_owned()).collect();
    all.sort();
    assert_eq!(names("fuzz_targets"), all);
    assert_eq!(names("seeds"), all);
}

/// What happens to a seed.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize),
    Insert(Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, to)| Damage::Set(at, to)),
        (at(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        at().prop_map(Damage::Cut),
        (at(), 1..40usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (at(), 1..40usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
        (at(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, b)| Damage::Insert(at, b)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    for damage in damage {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match damage {
            Damage::Set(at, to) => bytes[at.index(length)] = *to,
            Damage::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Damage::Cut(at) => bytes.truncate(at.index(length)),
            Damage::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + count).min(length));
            }
            Damage::Repeat(at, count) => {
                let at = at.index(length);
                bytes.extend_from_within(at..(at + count).min(length));
            }
            Damage::Insert(at, more) => {
                let at = at.index(length);
                bytes.splice(at..at, more.iter().copied());
            }
        }
    }
    bytes
}

/// The seeds of a target, whole and damaged.
fn feed(name: &str) {
    let target = dragentity_hostile::target(name).unwrap();
    let seeds = seeds(&target);
    for seed in &seeds {
        (target.feed)(seed);
    }
    (target.feed)(&[]);
    let config = Config {
        cases: runs(),
        failure_persistence: None,
        ..Config::default()
    };
    let cases = (any::<Index>(), prop::collection::vec(damage(), 1..6));
    let mut runner = TestRunner::new_with_rng(
        config,
        // The same every time: what is new is found by fuzzing.
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    runner
        .run(&cases, |(seed, damage)| {
            (target.feed)(&damaged(seeds[seed.index(seeds.len())].clone(), &damage));
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{name}: {failure}"));
}

macro_rules! fed {
    ($($name:ident)*) => {
        $(#[test] fn $name() { feed(stringify!($name)); })*

        #[test]
        fn every_target_is_fed() {
            assert_eq!([$(stringify!($name)),*], TARGETS.iter().map(|t| t.name).collect::<Vec<_>>()[..]);
        }
    };
}

fed! {
    safetensors index checkpoint pickle config
    preset link project exchange demo tracks answers
    picture gif webp mp4
    job_body click_body events
}
