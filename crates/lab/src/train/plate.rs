//! The structure of plates, on pictures with holes ([`crate::data::holes`]).

use super::source::sheet;
use super::stage::Stage;
use crate::data::holes::{Holed, Holes};
use crate::eval::lpips::Lpips;
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Tensor, TensorData};
use dragentity_core::Result;
use dragentity_networks::dragentity::plate_structure::PlateStructure;
use dragentity_pipeline::transfer::pictures;
use image::RgbImage;
use std::sync::Arc;

/// Batches that figures are measured on, of [`AT_ONCE`] pictures each.
const MEASURED: u64 = 12;
const AT_ONCE: usize = 8;
/// What LPIPS counts beside the absolute error of the hole's pixels. Twice as much taught dots.
const LPIPS_WEIGHT: f64 = 0.5;

/// The stage.
pub struct PlateStage<B: AutodiffBackend> {
    /// What to train on.
    pub holes: Arc<Holes>,
    /// Pictures never trained on.
    pub held_out: Arc<Holes>,
    /// Pictures in a batch.
    pub batch: usize,
    /// Width and height that batches take turns with.
    pub sizes: Vec<(usize, usize)>,
    /// What tells how unlike two pictures look.
    pub lpips: Lpips<B>,
    /// Where to train.
    pub device: B::Device,
}

/// Host side of a batch.
pub struct Batch {
    pictures: Vec<Vec<f32>>,
    continued: Vec<Vec<f32>>,
    holes: Vec<f32>,
    size: [usize; 2],
}

/// A batch on a device, each `[n, channels, height, width]`.
struct Tensors<B: Backend> {
    truth: Tensor<B, 4>,
    hole: Tensor<B, 4>,
    /// The truth with lines continued through its holes.
    continued: Tensor<B, 4>,
}

impl Batch {
    fn new(made: Vec<Holed>, size: [usize; 2]) -> Self {
        let mut batch = Self {
            pictures: Vec::with_capacity(made.len()),
            continued: Vec::with_capacity(made.len()),
            holes: Vec::with_capacity(made.len() * size[0] * size[1]),
            size,
        };
        for Holed {
            rgb,
            hole,
            continued,
        } in made
        {
            batch.pictures.push(rgb);
            batch.continued.push(continued);
            batch.holes.extend(hole);
        }
        batch
    }

    fn on<B: Backend>(&self, device: &B::Device) -> Tensors<B> {
        let [width, height] = self.size;
        let shape = [self.pictures.len(), 1, height, width];
        let holes = TensorData::new(self.holes.clone(), shape);
        Tensors {
            truth: pictures(&self.pictures, width, height, device),
            hole: Tensor::from_data(holes, device),
            continued: pictures(&self.continued, width, height, device),
        }
    }
}

impl<B: AutodiffBackend> PlateStage<B> {
    fn size(&self, index: u64) -> [usize; 2] {
        let (width, height) = self.sizes[index as usize % self.sizes.len()];
        [width, height]
    }
}

impl<B: AutodiffBackend> Stage<B> for PlateStage<B> {
    type Network = PlateStructure<B>;
    type Batch = Batch;

    fn name(&self) -> &'static str {
        "plate structure"
    }

    fn batches(&self) -> Box<dyn FnMut(u64) -> Result<Batch> + Send> {
        let (holes, count, sizes) = (self.holes.clone(), self.batch, self.sizes.clone());
        Box::new(move |index| {
            let (width, height) = sizes[index as usize % sizes.len()];
            let size = [width, height];
            Ok(Batch::new(holes.batch(index, count, size)?, size))
        })
    }

    fn loss(&self, network: &PlateStructure<B>, batch: Batch, _step: u64) -> Result<Tensor<B, 1>> {
        let Tensors {
            truth,
            hole,
            continued,
        } = batch.on(&self.device);
        let made = network.forward(continued, hole.clone());
        // Outside of the hole nothing differs.
        let apart = (made.clone() - truth.clone()).abs().sum() / (hole.sum() * 3.0 + 1.0);
        let seen = [self.lpips.look(made)?, self.lpips.look(truth)?];
        let unlike = self.lpips.distance(&seen[0], &seen[1]).mean();
        Ok(apart + unlike * LPIPS_WEIGHT)
    }

    fn on(&self, device: &B::Device) -> Result<Self> {
        Ok(Self {
            holes: self.holes.clone(),
            held_out: self.held_out.clone(),
            batch: self.batch,
            sizes: self.sizes.clone(),
            lpips: self.lpips.clone().to_device(device),
            device: device.clone(),
        })
    }

    fn sample(
        &self,
        network: &<PlateStructure<B> as AutodiffModule<B>>::InnerModule,
    ) -> Result<(RgbImage, Vec<(&'static str, f64)>)> {
        let lpips = self.lpips.valid();
        let (mut made_figures, mut lines_figures) = (Figures::default(), Figures::default());
        let mut rows = Vec::new();
        for index in 0..MEASURED {
            let size = self.size(index);
            let batch = Batch::new(self.held_out.batch(index, AT_ONCE, size)?, size);
            let Tensors {
                truth,
                hole,
                continued,
            } = batch.on::<B::InnerBackend>(&self.device);
            let made = network.forward(continued.clone(), hole.clone());
            let made = made.clamp(-1.0, 1.0);
            for (figures, filled) in [(&mut made_figures, &made), (&mut lines_figures, &continued)]
            {
                figures.add(&lpips, filled, &truth, &hole)?;
            }
            if index == 0 {
                let outside = hole * -1.0 + 1.0;
                rows = vec![truth.clone(), truth * outside, continued, made];
            }
        }
        Ok((
            sheet(&rows)?,
            vec![
                ("PSNR dB", made_figures.psnr()),
                ("LPIPS", made_figures.lpips()),
                ("PSNR dB of continued lines", lines_figures.psnr()),
                ("LPIPS of continued lines", lines_figures.lpips()),
            ],
        ))
    }
}

/// Sums over many pictures.
#[derive(Default)]
struct Figures {
    /// Of the peak signal to noise ratios within the holes.
    decibels: f64,
    /// Of the distances of whole pictures.
    distances: f64,
    pictures: f64,
}

impl Figures {
    fn add<B: Backend>(
        &mut self,
        lpips: &Lpips<B>,
        made: &Tensor<B, 4>,
        truth: &Tensor<B, 4>,
        hole: &Tensor<B, 4>,
    ) -> Result<()> {
        for i in 0..made.dims()[0] {
            let one = |x: &Tensor<B, 4>| x.clone().narrow(0, i, 1);
            let [made, truth, hole] = [made, truth, hole].map(one);
            let error = ((made.clone() - truth.clone()).powi_scalar(2) * hole.clone()).sum()
                / (hole.sum() * 3.0 + 1e-6);
            let error: f64 = error.into_scalar().elem();
            let distance = lpips.distance(&lpips.look(made)?, &lpips.look(truth)?);
            let distance: f64 = distance.into_scalar().elem();
            self.decibels += 10.0 * (4.0 / error.max(1e-5)).log10();
            self.distances += distance;
            self.pictures += 1.0;
        }
        Ok(())
    }

    fn psnr(&self) -> f64 {
        self.decibels / self.pictures.max(1.0)
    }

    fn lpips(&self) -> f64 {
        self.distances / self.pictures.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Split, testing};
    use crate::train::fit::{FitOptions, fit};
    use crate::train::gradients;
    use burn::backend::{Autodiff, Flex};
    use burn::optim::{AdamConfig, GradientsParams, Optimizer};
    use dragentity_networks::dragentity::plate_structure::PlateStructureConfig;
    use dragentity_networks::weights::{Precision, save_bytes};
    use safetensors::SafeTensors;

    type A = Autodiff<Flex>;

    fn stage() -> PlateStage<A> {
        let device = Default::default();
        let pack = Arc::new(testing::pack());
        let holes = |split| Arc::new(Holes::open(&[], Some(pack.clone()), split, 1).unwrap());
        PlateStage {
            holes: holes(Split::Train),
            held_out: holes(Split::HeldOut),
            batch: 3,
            sizes: vec![(32, 32), (48, 32)],
            lpips: Lpips::<A>::new(&device).no_grad(),
            device,
        }
    }

    fn network() -> PlateStructure<A> {
        let config = PlateStructureConfig {
            side: 32,
            block_out_channels: [8, 16, 16],
            dilations: vec![1, 2],
            norm_num_groups: 4,
        };
        config.init(&Default::default()).unwrap()
    }

    #[test]
    fn the_loss_falls_on_one_batch() {
        let (stage, mut network) = (stage(), network());
        let mut optimizer = AdamConfig::new().init::<A, PlateStructure<A>>();
        let mut losses: Vec<f32> = Vec::new();
        for _ in 0..30 {
            // The same each time.
            let batch = (stage.batches())(3).unwrap();
            let loss = stage.loss(&network, batch, 0).unwrap();
            losses.push(loss.clone().into_scalar());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(5e-3, network, gradients);
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.7 * first, "from {first} to {last}");
    }

    #[test]
    fn a_run_in_parts_ends_as_one_at_once() {
        let stage = stage();
        let device = Default::default();
        let folder = tempfile::tempdir().unwrap();
        let options = |name: &str, session_steps| FitOptions {
            run: folder.path().join(name),
            steps: 2,
            session_steps,
            ..FitOptions::default()
        };
        let run = |start, options: FitOptions| {
            let fitted = fit(&stage, start, &options, &device, &mut |_| {}).unwrap();
            (fitted.state.step, values(&fitted.network))
        };
        let start = network();
        // Parameters are drawn when they are first looked at: copies made before that would differ.
        assert_eq!(gradients::parameter_not_finite::<A, _>(&start), None);
        let before = values(&start.valid());
        let whole = run(start.clone(), options("whole", 9));
        assert_eq!(run(start, options("parts", 1)).0, 1);
        // A new process starts from other random weights.
        let rest = run(network(), options("parts", 1));
        assert_eq!(rest.0, whole.0);
        // Sums on several threads may differ in their last bits, and Adam makes a step of a gradient that is next to nothing.
        let (apart, moved) = (apart(&rest.1, &whole.1), apart(&before, &whole.1));
        assert!(apart < 0.01 * moved, "{apart} apart, {moved} moved");
    }

    /// All parameters, one after the other.
    fn values(network: &PlateStructure<Flex>) -> Vec<f32> {
        let bytes = save_bytes("plate", network, Precision::F32).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let mut names = tensors.names();
        names.sort_unstable();
        let parameters = names.iter().map(|name| tensors.tensor(name).unwrap());
        let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
        parameters
            .flat_map(|one| one.data().chunks_exact(4).map(number))
            .collect()
    }

    /// The mean distance of parameters.
    fn apart(a: &[f32], b: &[f32]) -> f32 {
        let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
        sum / a.len() as f32
    }

    #[test]
    fn the_truth_is_no_distance_from_itself_and_figures_have_something_to_be_compared_with() {
        let stage = stage();
        let (picture, figures) = stage.sample(&network().valid()).unwrap();
        assert_eq!(picture.dimensions().1, 4 * (2 * 32 + 2));
        let of = |name: &str| figures.iter().find(|(n, _)| *n == name).unwrap().1;
        // That is what an untrained network says.
        assert!((of("PSNR dB of continued lines") - of("PSNR dB")).abs() < 1e-3);
        let batch = Batch::new(stage.held_out.batch(0, 2, [32, 32]).unwrap(), [32, 32]);
        let Tensors { truth, hole, .. } = batch.on::<Flex>(&stage.device);
        let mut figures = Figures::default();
        figures
            .add(&stage.lpips.valid(), &truth, &truth, &hole)
            .unwrap();
        assert_eq!(figures.lpips(), 0.0);
        assert!(figures.psnr() > 50.0);
    }
}
