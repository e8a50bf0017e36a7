use super::*;
use crate::data::{ClipSpec, Data, Split, testing};
use crate::train::checkpoint::State;
use crate::train::fit::{FitOptions, fit};
use crate::train::gradients;
use crate::train::pass::{LossScale, PassOptions, pass};
use crate::train::peers::Peers;
use burn::backend::autodiff::checkpoint::strategy::BalancedCheckpointing;
use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder};
use burn::tensor::DType;
use dragentity_core::scene::Representation;
use dragentity_networks::dragentity::bundle::BundleConfig;
use dragentity_networks::svd::unet::PerLevel;
use dragentity_networks::weights::{ModelDir, Precision, save_bytes};

type A = Autodiff<Flex>;
type Recomputing = Autodiff<Flex, BalancedCheckpointing>;

/// The shipped model's configurations with few channels, clips of 32x32 and four frames.
fn stage<B: AutodiffBackend<InnerBackend = Flex>>() -> (DenoiserStage<B>, Denoiser<B>) {
    let device = Default::default();
    let mini = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/mini");
    let mut config = pollster::block_on(BundleConfig::read(&ModelDir::new(mini))).unwrap();
    for unet in [&mut config.unet, &mut config.controlnet.unet] {
        unet.block_out_channels = vec![32, 32, 32];
        unet.num_attention_heads = PerLevel::All(1);
    }
    config.vae.block_out_channels = vec![8, 8, 16];
    config.index.frames = 4;
    config.index.steps = 1;
    let spec = ClipSpec {
        width: 32,
        height: 32,
        frames: 4,
        ..ClipSpec::default()
    };
    let data = Data::Pack(Arc::new(testing::pack()));
    let clips = Clips::new(&data, Split::Train, &spec, 1, &[(32, 32)]);
    let clips = Arc::new(clips.unwrap());
    let network = config.clone().init::<B>(&device).unwrap().denoiser;
    // Parameters are drawn when they are first looked at: copies made before that would differ.
    assert_eq!(gradients::parameter_not_finite::<B, _>(&network), None);
    let stage = DenoiserStage {
        clips: clips.clone(),
        held_out: clips,
        batch: 1,
        turns: vec![Turn {
            condition: config.index.condition.clone(),
            entity_weight: 2.0,
        }],
        frozen: config.init::<Flex>(&Default::default()).unwrap(),
        log_sigma: (-0.2, 1.4),
        seed: 1,
        device,
    };
    (stage, network)
}

fn bytes(network: &Denoiser<Flex>) -> Vec<u8> {
    save_bytes("test", network, Precision::F32).unwrap()
}

/// The loss of the first batch and its gradients' norm.
fn first_step<B: AutodiffBackend>(
    stage: &DenoiserStage<B>,
    network: &Denoiser<B>,
    dtype: FloatDType,
) -> (f64, f64) {
    let options = PassOptions {
        clip_norm: f64::INFINITY,
        dtype,
        ..PassOptions::default()
    };
    let mut next = stage.batches();
    let mut scale = LossScale::new(dtype);
    let mut alone = Peers::of(stage, std::slice::from_ref(&stage.device), 1).unwrap();
    let made = pass(stage, &mut alone, network, &options, &mut scale, 0, || {
        next(0)
    })
    .unwrap();
    let norm = gradients::norm::<B, _>(network, &made.gradients.unwrap());
    (made.loss, norm)
}

#[test]
fn a_resumed_denoiser_is_the_one_trained_at_once() {
    let (stage, start) = stage::<A>();
    let device = Default::default();
    let folder = tempfile::tempdir().unwrap();
    let options = |name: &str, session_steps| FitOptions {
        run: folder.path().join(name),
        steps: 2,
        session_steps,
        ..FitOptions::default()
    };
    let whole = fit(
        &stage,
        start.clone(),
        &options("whole", 9),
        &device,
        &mut |_| {},
    )
    .unwrap();
    let parts = options("parts", 1);
    let half = fit(&stage, start, &parts, &device, &mut |_| {}).unwrap();
    // A new process starts from other random weights.
    let other = super::tests::stage::<A>().1;
    let rest = fit(&stage, other, &parts, &device, &mut |_| {}).unwrap();
    assert_eq!((half.state.step, rest.state.step), (1, 2));
    assert!(bytes(&whole.network) == bytes(&rest.network));
    // Of rows that may stand for several steps.
    let sum = |state: &State| {
        let mut before = 0;
        let rows = state.curve.iter().map(|row| {
            let steps = row.step - std::mem::replace(&mut before, row.step);
            row.loss * steps as f64
        });
        rows.sum::<f64>()
    };
    let (once, resumed) = (sum(&whole.state), sum(&rest.state));
    assert!((once - resumed).abs() < 1e-9, "{once} and {resumed}");
}

#[test]
fn half_precision_and_recomputing_give_nearly_the_same_step() {
    let (stage, network) = stage::<A>();
    let (loss, norm) = first_step(&stage, &network, FloatDType::F32);
    // Of 8 and 11 bits; the weights are others each time, and some are worse than others.
    for (dtype, tolerance, of_norm) in
        [(FloatDType::BF16, 0.15, 0.6), (FloatDType::F16, 0.05, 0.25)]
    {
        let low = stage.lowered(&network, dtype).unwrap();
        assert_eq!(low.unet.conv_in.weight.dtype(), DType::from(dtype));
        assert_eq!(
            low.unet.conv_norm_out.gamma.as_ref().unwrap().dtype(),
            DType::F32
        );
        let (rough, rough_norm) = first_step(&stage, &network, dtype);
        assert!(
            (rough - loss).abs() < tolerance * loss,
            "{dtype:?}: {rough}, {loss}"
        );
        assert!(rough != loss, "{dtype:?} was not used");
        // Rounding errors of a whole backward pass.
        assert!(
            (rough_norm - norm).abs() < of_norm * norm,
            "{dtype:?}: {rough_norm}, {norm}"
        );
    }

    // The same weights where gradients are recomputed.
    let (other_stage, other) = super::tests::stage::<Recomputing>();
    let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::new();
    let bytes = Recorder::<A>::record(&recorder, network.clone().into_record(), ()).unwrap();
    let record = Recorder::<Recomputing>::load(&recorder, bytes, &Default::default()).unwrap();
    let same = other.load_record(record);
    let frozen = DenoiserStage {
        frozen: Bundle {
            config: stage.frozen.config.clone(),
            vae: stage.frozen.vae.clone(),
            preview: stage.frozen.preview.clone(),
            encoder: stage.frozen.encoder.clone(),
            denoiser: stage.frozen.denoiser.clone(),
            device: Default::default(),
        },
        ..other_stage
    };
    let (again, again_norm) = first_step(&frozen, &same, FloatDType::F32);
    assert!((again - loss).abs() < 1e-5 * loss, "{again} and {loss}");
    assert!(
        (again_norm - norm).abs() < 1e-4 * norm,
        "{again_norm} and {norm}"
    );
}

#[test]
fn steps_take_turns() {
    let (mut stage, network) = stage::<A>();
    let shown = |representation, entity_weight| Turn {
        condition: ConditionConfig {
            representation,
            ..stage.turns[0].condition.clone()
        },
        entity_weight,
    };
    let turns = [
        shown(Representation::Entity, 2.0),
        shown(Representation::Flow, 2.0),
        shown(Representation::Entity, 1.0),
    ];
    let loss = |stage: &DenoiserStage<A>, step| -> f64 {
        let batch = stage.batches()(0).unwrap();
        let loss = stage.loss(&network, batch, step).unwrap();
        loss.into_scalar().into()
    };
    stage.turns = turns.to_vec();
    let together = [0, 1, 2, 3].map(|step| loss(&stage, step));
    for (turn, step) in turns.iter().zip(0..) {
        stage.turns = vec![turn.clone()];
        assert_eq!(loss(&stage, step), together[step as usize]);
    }
    stage.turns = vec![turns[0].clone()];
    assert_eq!(loss(&stage, 3), together[3], "the first is next again");
    // The last turn weighs the same errors less.
    assert!(loss(&stage, 2) > together[2]);
}

#[test]
fn a_copy_on_another_device_makes_the_same_gradients() {
    let (stage, network) = stage::<A>();
    let device = stage.device;
    let step = |devices: &[burn::backend::flex::FlexDevice]| {
        let options = PassOptions {
            accumulate: 2,
            clip_norm: f64::INFINITY,
            ..PassOptions::default()
        };
        let mut scale = LossScale::new(options.dtype);
        let mut next = stage.batches();
        let mut peers = Peers::of(&stage, devices, 2).unwrap();
        let mut index = 0..;
        let next = || next(index.next().unwrap());
        let made = pass(&stage, &mut peers, &network, &options, &mut scale, 0, next).unwrap();
        (
            made.loss,
            gradients::norm::<A, _>(&network, &made.gradients.unwrap()),
        )
    };
    // Alone first: what is frozen here is drawn when it is first looked at.
    let alone = step(&[device]);
    assert_eq!(alone, step(&[device, device]));
    assert!(alone.1 > 0.0);
}
