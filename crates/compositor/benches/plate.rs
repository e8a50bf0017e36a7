//! How long the plate takes: a picture of the size of a video, a tenth of which is hidden.
//!
//! ```sh
//! cargo bench -p dragentity-compositor
//! ```
//!
//! About a minute once it is compiled. `./test` runs it once, so that it goes on working.

use criterion::{Criterion, criterion_group, criterion_main};
use dragentity_compositor::plate;
use dragentity_core::Cancel;
use dragentity_core::scene::{Mask, Picture};
use std::path::Path;
use std::time::Duration;

/// The bundled astronaut without what is within an ellipse in the middle.
fn plates(criterion: &mut Criterion) {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../www/samples");
    let picture = std::fs::read(samples.join("astronaut.jpg")).expect("a bundled picture");
    let picture = Picture::decode(&picture, "astronaut.jpg").expect("a picture");
    let mut group = criterion.benchmark_group("plate");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(10));
    for (width, height) in [(512_u32, 288_u32), (1280, 720)] {
        let picture = picture.resized(width, height);
        let inside = |at: u32| {
            let across = (at % width) as f32 / width as f32 - 0.5;
            let down = (at / width) as f32 / height as f32 - 0.5;
            (across / 0.13).powi(2) + (down / 0.245).powi(2) <= 1.0
        };
        let alpha = (0..width * height).map(|at| u8::from(inside(at)) * 255);
        let hole = Mask::from_alpha(width, height, alpha.collect()).expect("a mask");
        group.bench_function(format!("{width}x{height}"), |bencher| {
            bencher.iter(|| {
                plate::fill(&picture, &hole, None, &Cancel::new(), &mut |_, _| {}).expect("a plate")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, plates);
criterion_main!(benches);
