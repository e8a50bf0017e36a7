//! How long the draft takes: entities cut out, moved, and the holes behind them filled.
//!
//! ```sh
//! cargo bench -p dragentity-core
//! ```
//!
//! Some ten seconds once it is compiled. `./test` runs each once, so that it goes on working.

use criterion::{Criterion, criterion_group, criterion_main};
use dragentity_core::scene::draft::{Holes, Layer, draft};
use dragentity_core::scene::{Picture, Preset, raster};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const FRAMES: usize = 8;

/// The bundled astronaut with a moving and a pinned entity, at the models' size and at that of what is shown.
fn drafts(criterion: &mut Criterion) {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../www/samples");
    let picture = std::fs::read(samples.join("astronaut.jpg")).expect("a bundled picture");
    let picture = Picture::decode(&picture, "astronaut.jpg").expect("a picture");
    let preset = std::fs::read_to_string(samples.join("astronaut.json")).expect("its preset");
    let preset = Preset::parse(&preset).expect("a preset");
    let mut group = criterion.benchmark_group("draft");
    for side in [64_usize, 256] {
        let rgb = picture.resized(side as u32, side as u32).rgb;
        let rgb: Vec<f32> = rgb.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        let moved: Vec<(Vec<f32>, Vec<[f32; 2]>)> = preset
            .entities
            .iter()
            .map(|entity| {
                let path = entity.trajectory.as_ref().expect("a path or a pin");
                let [x, y] = path.start();
                let offsets = path.sample(FRAMES).into_iter();
                let offsets =
                    offsets.map(|at| [(at[0] - x) * side as f32, (at[1] - y) * side as f32]);
                (
                    raster::coverage(&entity.mask, side, side),
                    offsets.collect(),
                )
            })
            .collect();
        let layers: Vec<Layer> = moved
            .iter()
            .map(|(mask, offsets)| Layer { mask, offsets })
            .collect();
        for (holes, name) in [(Holes::Filled, "holes filled"), (Holes::Kept, "holes kept")] {
            group.bench_function(format!("{side} x {side}, {name}"), |bencher| {
                bencher.iter(|| draft(black_box(&rgb), side, side, &layers, &[], FRAMES, holes));
            });
        }
    }
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
}

criterion_group! {
    name = compositing;
    config = quick();
    targets = drafts
}
criterion_main!(compositing);
