//! How long it takes to bend a thing: the mesh over it, once, and a step of what leads it.
//!
//! ```sh
//! cargo bench -p dragentity-core --bench bend
//! ```
//!
//! Some ten seconds once it is compiled. `./test` runs each once, so that it goes on working.

use criterion::{Criterion, criterion_group, criterion_main};
use dragentity_core::scene::bend::{Mesh, Solver};
use dragentity_core::scene::{Mask, Pose, Preset};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const SIZE: [u32; 2] = [1280, 853];

/// The bundled cat, at the size of the largest videos.
fn cat() -> Mask {
    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../www/samples/cat.json");
    let preset = std::fs::read_to_string(preset).expect("a bundled preset");
    let preset = Preset::parse(&preset).expect("a preset");
    preset.entities[0].mask.clone()
}

fn bends(criterion: &mut Criterion) {
    let mask = cat();
    let mesh = Mesh::over(&mask, SIZE, 20.0).expect("a mask that is not empty");
    let mut group = criterion.benchmark_group(format!("bend, {} vertices", mesh.vertices().len()));
    group.bench_function("mesh", |bencher| {
        bencher.iter(|| Mesh::over(black_box(&mask), SIZE, 20.0));
    });
    // Places all over it, the last of which goes to and fro.
    let places = mesh.vertices().iter();
    let rests: Vec<[f32; 2]> = places
        .step_by(mesh.vertices().len() / 6)
        .take(6)
        .copied()
        .collect();
    let mesh = Arc::new(mesh);
    group.bench_function("six handles", |bencher| {
        bencher.iter(|| Solver::new(mesh.clone(), black_box(&rests)));
    });
    let mut solver = Solver::new(mesh, &rests);
    let mut angle = 0.0_f32;
    group.bench_function("step", |bencher| {
        bencher.iter(|| {
            // Three pixels a step, as a drag has them at 60 frames a second.
            angle += 0.06;
            let mut targets = rests.clone();
            targets[5][0] += 50.0 * angle.sin();
            targets[5][1] += 50.0 * angle.cos();
            solver.step(black_box(&targets), &Pose::default())
        });
    });
    group.finish();
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = benches;
    config = quick();
    targets = bends
}
criterion_main!(benches);
