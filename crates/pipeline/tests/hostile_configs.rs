//! Every number of every configuration file, replaced by what no network can be built from: a sentence that names the file and
//! the field, or a model that is loaded; never a panic, and no memory beyond what the weights take.
#![cfg(not(target_family = "wasm"))]

use burn::backend::Flex;
use dragentity_core::{Error, Result};
use dragentity_networks::dragentity::plate_structure::PlateStructureConfig;
use dragentity_networks::sd15::diffusion_features::StableDiffusionConfig;
use dragentity_networks::weights::{ModelDir, Precision, save_file};
use dragentity_pipeline::model::{ControlNetSource, Model, ModelOptions};
use dragentity_pipeline::parts::PersonParser;
use dragentity_pipeline::structure::Structure;
use dragentity_testkit::{steer, svd, tiny};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What is written in place of a number, or of a list of them.
fn hostile() -> Vec<Value> {
    vec![
        json!(0),
        json!([]),
        json!([0]),
        json!(1_000_000_000),
        json!([1_000_000_000]),
        json!(-1),
        json!(-1e300),
        json!(1e300),
        json!(u64::MAX),
        json!(0.5),
        json!("1"),
        json!({}),
        json!(vec![1; 10_000]),
    ]
}

/// The places of all numbers and lists of numbers in a configuration, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            found.push(at.to_owned());
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                places(value, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// All configuration files in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Writes each hostile value into each place of each configuration in `folder`, and hands it to `load`.
fn attack(folder: &Path, load: impl Fn(&str) -> Result<()>) {
    let location = folder.display().to_string();
    load(&location).unwrap();
    let mut refused = 0;
    for file in files(folder) {
        let text = std::fs::read_to_string(&file).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        places(&config, "", &mut all);
        let name = file.strip_prefix(folder).unwrap().display().to_string();
        for place in all {
            for value in hostile() {
                let mut garbled = config.clone();
                *garbled.pointer_mut(&place).unwrap() = value.clone();
                std::fs::write(&file, garbled.to_string()).unwrap();
                // Of a field that is not looked at, or one that may be so.
                let Err(error) = load(&location) else {
                    continue;
                };
                refused += 1;
                assert!(
                    matches!(error, Error::Model { .. }),
                    "{name}{place}: {error}"
                );
                let said = error.to_string();
                // A sound configuration, of other weights than there are.
                let others = said.contains(".safetensors");
                let field = place
                    .split('/')
                    .rfind(|part| part.parse::<usize>().is_err());
                let named = said.contains(&name) && said.contains(field.unwrap());
                assert!(named || others, "{name}{place}: {said}");
            }
        }
        std::fs::write(&file, text).unwrap();
    }
    assert!(refused > 10);
}

fn model(options: &ModelOptions) -> Result<()> {
    let silent = &mut |_| {};
    let loaded = Model::<Flex>::load(options, Default::default(), "CPU".into(), silent);
    pollster::block_on(loaded).map(drop)
}

#[test]
fn of_dragentitys_own_models() {
    let folder = tempfile::tempdir().unwrap();
    tiny::tiny_model(folder.path()).unwrap();
    attack(folder.path(), |location| {
        model(&ModelOptions::new(location))
    });
}

#[test]
fn of_stable_video_diffusion() {
    let folder = svd::published_directory();
    attack(folder.path(), |location| {
        model(&ModelOptions::new(location))?;
        // Its networks are loaded in turn, when a job is run.
        let dir = ModelDir::new(location);
        let config = pollster::block_on(dragentity_pipeline::svd::SvdConfig::read(&dir))?;
        config.scheduler.schedule(None, 4)?;
        pollster::block_on(config.check_weights::<Flex>(&dir, None, &Default::default())).map(drop)
    });
}

#[test]
fn of_what_steers_it() {
    let svd = svd::published_directory();
    for folder in [
        steer::draganything_directory(),
        steer::dragentity_directory(),
    ] {
        attack(folder.path(), |location| {
            model(&ModelOptions {
                controlnet: Some(ControlNetSource {
                    location: location.to_owned(),
                    features_from: None,
                }),
                ..ModelOptions::new(svd.path().display().to_string())
            })
        });
    }
}

#[test]
fn of_stable_diffusion() {
    let folder = steer::stable_diffusion_directory();
    attack(folder.path(), |location| {
        let dir = ModelDir::new(location);
        let config = pollster::block_on(StableDiffusionConfig::read(&dir))?;
        config
            .scheduler
            .training_sigma("scheduler/scheduler_config.json", 261)?;
        let unet =
            pollster::block_on(config.load_unet::<Flex>(&dir, &Default::default(), &mut |_, _| {}));
        unet.map(drop)
    });
}

#[test]
fn of_the_networks_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let mini = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/mini/human_parser"
    );
    let parser = folder.path().join("human_parser");
    std::fs::create_dir(&parser).unwrap();
    for entry in std::fs::read_dir(mini).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), parser.join(entry.file_name())).unwrap();
    }
    attack(folder.path(), |location| {
        let dir = ModelDir::new(location);
        pollster::block_on(PersonParser::<Flex>::load(&dir, &Default::default())).map(drop)
    });

    let folder = tempfile::tempdir().unwrap();
    let config = PlateStructureConfig::default();
    let network = config.init::<Flex>(&Default::default()).unwrap();
    let dir = ModelDir::new(folder.path().display().to_string());
    let file = PathBuf::from(dir.weights_file(""));
    save_file(&file, &network, Precision::F16).unwrap();
    let config = serde_json::to_string(&config).unwrap();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    attack(folder.path(), |location| {
        pollster::block_on(Structure::find(location)).map(drop)
    });
}
