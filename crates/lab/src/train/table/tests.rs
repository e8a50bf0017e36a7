use super::super::denoiser::HELD_OUT_ERROR;
use super::super::record::Lock;
use super::*;
use dragentity_networks::dragentity::bundle::Bundle;

#[test]
fn rows_differ_in_what_their_table_is_about() {
    let names = |table| -> Vec<String> { rows(table).iter().map(|row| row.kind.name()).collect() };
    assert_eq!(names(1), ["graph", "flow", "entity-only", "dragentity"]);
    assert_eq!(
        names(2),
        ["neither", "entity-only", "position-only", "dragentity"]
    );
    assert_eq!(names(3), ["dragentity-no-mask", "dragentity"]);
    assert!(rows(4).is_empty());
    // Each directory belongs to one kind of run.
    let mut names: Vec<String> = kinds(&[1, 2, 3]).iter().map(Kind::name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 7);
    assert_eq!(kinds(&[1, 2, 3]).len(), 7);
}

fn options(tables: &[u8], data: PathBuf, run: PathBuf) -> TableOptions {
    TableOptions {
        tables: tables.to_vec(),
        seeds: 1,
        model: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/mini"),
        data,
        batch: 1,
        size: (32, 32),
        channels: CHANNELS.to_vec(),
        base_steps: 0,
        fit: FitOptions {
            run,
            steps: 2,
            ..FitOptions::default()
        },
    }
}

#[test]
fn the_small_model_gives_no_motion_away() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    let options = TableOptions {
        size: (64, 36),
        channels: vec![32, 64, 64],
        ..options(&[1], "nowhere".into(), dir.path().into())
    };
    prepare(&options, &model, None).unwrap();
    let made = ModelDir::new(model.display().to_string());
    let config = pollster::block_on(BundleConfig::read(&made)).unwrap();
    assert_eq!(config.index.residual_base, ResidualBase::FirstFrame);
    assert_eq!(config.controlnet.moved_latent_channels, None);
    assert_eq!(config.index.sample_side, 48);
    assert_eq!(config.unet.block_out_channels, [32, 64, 64]);
    assert!(config.index.residual_std.is_empty());
    let device = Default::default();
    let bundle = Bundle::<burn::backend::Flex>::load_frozen(made.location(), &device);
    let bundle = pollster::block_on(bundle).unwrap();
    assert!(bundle.denoiser.controlnet.moved_latent_embedding.is_none());
}

#[test]
fn rows_are_trained_and_then_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("clips.pack");
    std::fs::write(&data, crate::data::testing::pack_bytes()).unwrap();
    let options = options(&[3], data, dir.path().join("runs"));
    train(&options, Device::CPU, &mut |_| {}).unwrap();
    let mut seconds = Vec::new();
    for (row, masked) in rows(3).iter().zip([false, true]) {
        let run = run_dir(&options.fit.run, &row.kind, 1);
        let results = Results::read(&run).unwrap().unwrap();
        assert_eq!((results.steps_done, results.record.seed), (2, 1));
        assert!(results.loss.unwrap() > 0.0 && results.figures.contains_key("PSNR dB"));
        assert!(results.figures[HELD_OUT_ERROR] > 0.0);
        assert_eq!(results.record.loss_mask, Some(masked));
        // What was trained says so, and loads.
        let device = Default::default();
        let model = model_dir(&run).display().to_string();
        let mut silent = |_: &str, _: u64, _: u64| {};
        let bundle = Bundle::<burn::backend::Flex>::load(&model, &device, &mut silent);
        let index = pollster::block_on(bundle).unwrap().config.index;
        assert_eq!(index.loss_mask, masked);
        assert_eq!(index.residual_std.len(), 8);
        seconds.push(results.seconds);
    }
    train(&options, Device::CPU, &mut |_| {}).unwrap();
    for (row, before) in rows(3).iter().zip(seconds) {
        let run = run_dir(&options.fit.run, &row.kind, 1);
        assert_eq!(Results::read(&run).unwrap().unwrap().seconds, before);
    }
}

#[test]
fn rows_start_from_the_base() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("clips.pack");
    std::fs::write(&data, crate::data::testing::pack_bytes()).unwrap();
    let mut options = options(&[3], data, dir.path().join("runs"));
    options.base_steps = 2;
    // Steps too small to see: what comes out is what went in.
    options.fit.steps = 1;
    options.fit.learning_rate = 1e-12;
    let base = base_dir(&options.fit.run);
    let held = Lock::take(&base).unwrap();
    let said = train(&options, Device::CPU, &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(said.contains("another process is training"), "{said}");
    drop(held);
    let kinds = kinds(&options.tables);
    let elsewhere = run_dir(&options.fit.run, &kinds[1], 1);
    let held = Lock::take(&elsewhere).unwrap();
    train(&options, Device::CPU, &mut |_| {}).unwrap();
    assert_eq!(done(&base).unwrap(), 2);
    assert_eq!(done(&elsewhere).unwrap(), 0, "another process trains it");
    drop(held);
    train(&options, Device::CPU, &mut |_| {}).unwrap();

    let weights = |run: &Path| {
        let device = Default::default();
        let model = model_dir(run).display().to_string();
        let mut silent = |_: &str, _: u64, _: u64| {};
        let bundle = Bundle::<burn::backend::Flex>::load(&model, &device, &mut silent);
        let bundle = pollster::block_on(bundle).unwrap();
        let weight = bundle.denoiser.controlnet.conv_in.weight.val();
        (
            weight.into_data().to_vec::<f32>().unwrap(),
            bundle.config.index,
        )
    };
    let (start, index) = weights(&base);
    for kind in &kinds {
        let run = run_dir(&options.fit.run, kind, 1);
        assert_eq!(done(&run).unwrap(), 1);
        let (ended, own) = weights(&run);
        assert_eq!(start.len(), ended.len());
        for (a, b) in start.iter().zip(&ended) {
            // They are kept in half precision.
            assert!((a - b).abs() <= 1e-3 * a.abs() + 1e-6, "{a} and {b}");
        }
        assert_eq!(own.residual_std, index.residual_std);
        assert_eq!(own.loss_mask, kind.loss_mask);
    }
}

#[test]
fn unknown_tables_are_refused() {
    let options = options(&[2, 7], "nowhere".into(), "nowhere".into());
    let said = train(&options, Device::CPU, &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("no table 7") && said.contains("1, 2 and 3"),
        "{said}"
    );
}
