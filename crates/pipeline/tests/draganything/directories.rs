//! Directories that steer: what [`Svd`] makes with them is what the stages make by hand from the same noise.

use burn::backend::Flex;
use burn::tensor::{FloatDType, Tensor};
use dragentity_core::Cancel;
use dragentity_core::Job;
use dragentity_core::JobEvent;
use dragentity_core::Video;
use dragentity_core::scene::{Entity, Mask, Order, Picture, Scene, Settings, Trajectory, raster};
use dragentity_core::scheduler::guidance_per_frame;
use dragentity_networks::dragentity::condition::{
    ConditionBatch, ConditionConfig, ConditionInput, EntityInput, masked_mean,
};
use dragentity_networks::dragentity::denoiser::Steering;
use dragentity_networks::dragentity::draganything::{Maps, vectors};
use dragentity_networks::sd15::diffusion_features::{Recipe, video_features};
use dragentity_networks::svd::controlnet::Conditions;
use dragentity_networks::weights::WeightType;
use dragentity_pipeline::engine::added_time_ids;
use dragentity_pipeline::noise::noise;
use dragentity_pipeline::plan::to_unit;
use dragentity_pipeline::sample::Sampler;
use dragentity_pipeline::steer::{Conditioning, Steer};
use dragentity_pipeline::svd::{Svd, decode, image_latents, prepare};
use dragentity_pipeline::transfer::{pictures, video};
use dragentity_testkit::fill;
use dragentity_testkit::steer::{
    controlnet_config, draganything_directory, dragentity_directory, relation_config,
    stable_diffusion_config, stable_diffusion_directory,
};
use dragentity_testkit::svd::{published_directory, svd_config};
use std::path::Path;

const SIZE: [u32; 2] = [32, 24];
const FRAMES: u32 = 3;

/// Two boxes; the first goes to the right, the second stays.
fn job() -> Job {
    let rgb = (0..32 * 24 * 3).map(|i| (i * 7 % 251) as u8).collect();
    let entity = |[x0, y0, x1, y1]: [u32; 4], trajectory| {
        let mut mask = Mask::empty(SIZE[0], SIZE[1]);
        for y in y0..y1 {
            let line = (y * SIZE[0]) as usize;
            mask.alpha[line + x0 as usize..line + x1 as usize].fill(255);
        }
        Entity {
            name: "box".into(),
            mask,
            trajectory: Some(trajectory),
            ..Entity::default()
        }
    };
    let entities = vec![
        entity([3, 4, 15, 18], Trajectory::line([0.25, 0.5], [0.5, 0.5])),
        entity([20, 2, 31, 20], Trajectory::pin(0.8, 0.4)),
    ];
    Job {
        scene: Scene {
            picture: Picture::from_rgb(SIZE[0], SIZE[1], rgb).unwrap(),
            entities,
            order: Order::AsListed,
            ..Scene::default()
        },
        settings: Settings {
            frames: FRAMES,
            fps: 7,
            steps: 2,
            seed: 5,
            max_guidance: 2.0,
            noise_augmentation: 0.1,
            size: Some(SIZE),
            ..Settings::default()
        },
        ..Job::default()
    }
}

fn input() -> ConditionInput {
    let track = |offsets: [f32; 3]| offsets.map(|x| [8.0 + x, 12.0]).to_vec();
    let entities = job().scene.entities;
    ConditionInput {
        frames: FRAMES as usize,
        width: SIZE[0] as usize,
        height: SIZE[1] as usize,
        entities: vec![
            EntityInput {
                mask: entities[0].mask.clone(),
                track: track([0.0, 4.0, 8.0]),
            },
            EntityInput {
                mask: entities[1].mask.clone(),
                track: track([0.0; 3]),
            },
        ],
        background: Vec::new(),
    }
}

fn location(dir: &Path) -> String {
    dir.display().to_string()
}

fn open(controlnet: &Path, features_from: Option<&Path>) -> dragentity_core::Result<Steer> {
    let features_from = features_from.map(location);
    pollster::block_on(Steer::open(&location(controlnet), features_from.as_deref()))
}

fn plain(model: &Path) -> dragentity_core::Result<Svd<Flex>> {
    let location = location(model);
    pollster::block_on(Svd::open(&location, Default::default(), "CPU".into()))
}

fn svd(model: &Path, steer: Steer) -> dragentity_core::Result<Svd<Flex>> {
    plain(model)?.steered_by(steer)
}

fn run(svd: &Svd<Flex>, job: &Job) -> dragentity_core::Result<Video> {
    let mut observer = |_: JobEvent| {};
    pollster::block_on(svd.run(job, &Cancel::new(), &mut observer))
}

/// The same stage by stage; `conditions` gives the ControlNet's from the features.
fn by_hand(
    stable_diffusion: bool,
    accumulate: bool,
    conditions: impl FnOnce(Tensor<Flex, 4>) -> Conditions<Flex>,
) -> Video {
    let device = Default::default();
    let config = svd_config();
    let Job {
        scene, settings, ..
    } = job();
    let encoder = fill(config.image_encoder.init::<Flex>(&device).unwrap());
    let embedding = config.embed(&encoder, &scene.picture, &device).unwrap();
    let vae = fill(config.vae.init::<Flex>(&device).unwrap());
    let pixels = pictures(&[to_unit(&scene.picture)], 32, 24, &device);
    let grain = noise(6, pixels.dims(), &device);
    let latents = image_latents(&vae, pixels.clone(), grain, 0.1f32.into());
    let unet = fill(config.unet.init::<Flex>(&device).unwrap());
    let ids = added_time_ids(7, 127, 0.1, 1, &device);
    let recipe = Recipe::default();
    let (first, second) = (
        noise(7, [8, 4, 6, 8], &device),
        noise(8, [8, 4, 6, 8], &device),
    );
    let features = if stable_diffusion {
        let config = stable_diffusion_config();
        let text = fill(config.text_encoder.init::<Flex>(&device).unwrap());
        let context = text.forward(config.text_encoder.empty_text(&device));
        let encoder = fill(config.vae.init_encoder::<Flex>(&device).unwrap());
        let latents = config.draw(&encoder, pixels, first);
        let unet = fill(config.unet.init::<Flex>(&device).unwrap());
        config
            .features(&recipe, &unet, latents, second, context)
            .unwrap()
    } else {
        let one = prepare(embedding.clone(), latents.clone(), 1, ids.clone());
        let clean = config.vae.normalize(latents.clone());
        video_features(&recipe, &unet, &one, clean, first).unwrap()
    };
    let mut control = controlnet_config();
    control.accumulate_residuals = accumulate;
    let control = fill(control.init::<Flex>(&device).unwrap());
    let embedded = control.embed_conditions(&conditions(features)).unwrap();
    let mut prepared = prepare(embedding, latents, 3, ids);
    prepared.steering = Some(Steering {
        controlnet: &control,
        embedded,
        scale: 1.0,
    });
    let sampler = Sampler::from_noise(
        &unet,
        prepared,
        config.scheduler.schedule(None, 2).unwrap(),
        &guidance_per_frame(1.0, 2.0, 3),
        noise(settings.seed, [1, 3, 4, 6, 8], &device),
    );
    let frames = Tensor::cat(decode(&config, &vae, sampler.run(), 8).collect(), 0);
    pollster::block_on(video(frames, settings.fps)).unwrap()
}

fn draganything(features: Tensor<Flex, 4>) -> Conditions<Flex> {
    let input = input();
    let maps = Maps::new(&input, 2, 4).unwrap();
    let (heat_map, entity_map) = maps.draw(vectors(features, &input), 0..3);
    Conditions {
        entity_map,
        heat_map,
        moved_latents: None,
    }
}

fn dragentity(features: Tensor<Flex, 4>) -> Conditions<Flex> {
    let device = Default::default();
    let input = input();
    let relation = fill(relation_config().init::<Flex>(&device).unwrap());
    let config = ConditionConfig {
        vae_factor: 4,
        ..ConditionConfig::default()
    };
    let batch = ConditionBatch::from_inputs(std::slice::from_ref(&input), 2, &config, &device);
    let batch = batch.unwrap();
    let cells = input.entities.iter();
    let cells = cells
        .flat_map(|e| raster::coverage(&e.mask, 8, 6))
        .collect();
    let data = burn::tensor::TensorData::new::<f32, _>(cells, [1, 2, 6, 8]);
    let means = masked_mean(features, Tensor::from_data(data, &device));
    let embeddings = relation.forward(means, batch.boxes.clone(), batch.valid.clone());
    Conditions {
        entity_map: batch.represent(embeddings),
        heat_map: batch.gaussians.clone(),
        moved_latents: None,
    }
}

/// Frames are encoded a few at a time, which may round otherwise than all at once.
#[track_caller]
fn assert_same(a: &Video, b: &Video) {
    assert_eq!(
        (a.width, a.height, a.frames.len()),
        (b.width, b.height, b.frames.len())
    );
    let worst = largest_difference(a, b);
    assert!(worst <= 1, "differ by {worst}");
}

fn largest_difference(a: &Video, b: &Video) -> u8 {
    let bytes = |v: &Video| v.frames.concat();
    let pairs = bytes(a).into_iter().zip(bytes(b));
    pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap()
}

#[test]
fn draganythings_controlnet_steers_with_either_features() {
    let (model, control) = (published_directory(), draganything_directory());
    let features = stable_diffusion_directory();
    let own = open(control.path(), None).unwrap();
    assert_eq!(own.conditioning(), &Conditioning::DragAnything);
    assert!(own.note().unwrap().contains("--features-from"));
    let own = run(&svd(model.path(), own).unwrap(), &job()).unwrap();
    assert_same(&own, &by_hand(false, true, draganything));
    let theirs = open(control.path(), Some(features.path())).unwrap();
    assert_eq!(theirs.note(), None);
    let theirs = run(&svd(model.path(), theirs).unwrap(), &job()).unwrap();
    assert_same(&theirs, &by_hand(true, true, draganything));
    assert!(
        largest_difference(&own, &theirs) > 1,
        "features have no effect"
    );
}

#[test]
fn dragentitys_own_controlnet_steers_with_its_relation_module() {
    let (model, control) = (published_directory(), dragentity_directory());
    let steer = open(control.path(), None).unwrap();
    assert!(matches!(
        steer.conditioning(),
        Conditioning::DragEntity { .. }
    ));
    let svd = svd(model.path(), steer).unwrap();
    let steered = run(&svd, &job()).unwrap();
    assert_same(&steered, &by_hand(false, false, dragentity));

    // More than it was made for.
    let mut many = job();
    many.scene.entities.push(many.scene.entities[0].clone());
    let said = run(&svd, &many).map(drop).unwrap_err().to_string();
    assert!(
        said.contains("3 entities") && said.contains("at most 2"),
        "{said}"
    );
    // The camera.
    let mut camera = job();
    camera.scene.background = Some(Trajectory::line([0.5, 0.5], [0.6, 0.5]));
    let said = run(&svd, &camera).map(drop).unwrap_err().to_string();
    assert!(said.contains("background"), "{said}");
    // Nothing to steer: as without.
    let mut still = job();
    still.scene.entities.clear();
    let plain = plain(model.path()).unwrap();
    assert_same(&run(&svd, &still).unwrap(), &run(&plain, &still).unwrap());
}

#[test]
fn less_than_single_precision_steers_alike() {
    let (model, control) = (published_directory(), draganything_directory());
    let features = stable_diffusion_directory();
    let run = |dtype: WeightType| {
        let steer = open(control.path(), Some(features.path())).unwrap();
        let svd = plain(model.path()).unwrap().with_dtype(dtype);
        run(&svd.steered_by(steer.with_dtype(dtype)).unwrap(), &job()).unwrap()
    };
    let single = run(WeightType::default()).frames.concat();
    // Seen: 0.17 and 0.36.
    for (dtype, bound) in [(FloatDType::F16.into(), 0.5), (WeightType::Int8, 1.0)] {
        let pairs = single.iter().zip(run(dtype).frames.concat());
        let differences: Vec<f64> = pairs.map(|(a, b)| f64::from(a.abs_diff(b))).collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        println!("{dtype}: mean difference {mean:.2} of 255");
        assert!(mean > 0.0 && mean < bound, "{dtype}: {mean}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_weights_are_read() {
    let (model, control) = (published_directory(), draganything_directory());
    let refusal = |dir: &Path, features: Option<&Path>| {
        let opened = open(dir, features).and_then(|steer| svd(model.path(), steer));
        opened.map(drop).unwrap_err().to_string()
    };
    let said = refusal(&control.path().join("nowhere"), None);
    assert!(
        said.contains("nowhere") && said.contains("no ControlNet here"),
        "{said}"
    );
    let said = refusal(&model.path().join("unet"), None);
    assert!(
        said.contains("UNetSpatioTemporalConditionModel") && said.contains("no ControlNet"),
        "{said}"
    );
    let said = refusal(control.path(), Some(model.path()));
    assert!(said.contains("UNet2DConditionModel"), "{said}");

    let file = control.path().join("config.json");
    let good: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    type Change = fn(&mut serde_json::Value);
    let cases: [(&str, Change); 7] = [
        (
            "takes features of 24 channels, and those there are have 32",
            |c| {
                c["feature_embedding_out_channels"][0] = 12.into();
            },
        ),
        ("other channels or layers", |c| {
            c["block_out_channels"] = vec![64, 64].into();
        }),
        ("2 times smaller", |c| {
            c["conditioning_embedding_out_channels"] = vec![4, 6].into();
            c["feature_embedding_out_channels"] = vec![16, 6].into();
        }),
        ("moved latents", |c| c["moved_latent_channels"] = 4.into()),
        ("heat maps of 5 channels", |c| {
            c["conditioning_channels"] = 5.into();
        }),
        ("cannot be read", |c| {
            c["block_out_channels"] = "many".into();
        }),
        ("block_out_channels 33 is not a multiple of 32", |c| {
            c["block_out_channels"] = vec![33, 64].into();
        }),
    ];
    for (words, change) in cases {
        let mut config = good.clone();
        change(&mut config);
        std::fs::write(&file, config.to_string()).unwrap();
        let said = refusal(control.path(), None);
        assert!(said.contains(words), "{words:?} is not in: {said}");
        assert!(said.contains(&location(control.path())), "{said}");
    }
    std::fs::write(&file, good.to_string()).unwrap();
    // Weights of a ControlNet without an entity map.
    let weights = control.path().join("diffusion_pytorch_model.safetensors");
    std::fs::rename(&weights, control.path().join("other.safetensors")).unwrap();
    let svd = svd(model.path(), open(control.path(), None).unwrap()).unwrap();
    let said = run(&svd, &job()).map(drop).unwrap_err().to_string();
    assert!(said.contains("no weights here"), "{said}");
}
