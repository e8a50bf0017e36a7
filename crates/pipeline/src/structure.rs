//! What may lie behind things, roughly: a small network guesses it, and plates are filled with patches that look like its guess
//! from afar ([`Filling::guided`]). It runs on the CPU everywhere: that takes less than the filling.

use super::transfer::{pictures, read};
use burn::tensor::{Tensor, TensorData};
use dragentity_compositor::plate::{Filling, Guess, Guide};
use dragentity_core::error::Result;
use dragentity_core::scene::{Mask, Picture};
use dragentity_networks::device::Cpu;
use dragentity_networks::dragentity::plate_structure::{
    PlateStructure, PlateStructureConfig, SIZE_MULTIPLE,
};
use dragentity_networks::weights::ModelDir;

/// The network.
pub struct Structure {
    network: PlateStructure<Cpu>,
    side: usize,
}

impl Structure {
    /// The network in a directory (`config.json`, `model.safetensors`), or at a URL; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Model`](dragentity_core::Error::Model) for another one, or a damaged one.
    pub async fn find(location: &str) -> Result<Option<Self>> {
        let dir = ModelDir::new(location);
        let Some(config) = dir
            .find_json::<PlateStructureConfig>("", "config.json")
            .await?
        else {
            return Ok(None);
        };
        config.validate(&dir.file("", "config.json"))?;
        let network = config.init(&Default::default())?;
        let (network, _) = dir.load("", network, &mut |_, _| {}).await?;
        Ok(Some(Self {
            network,
            side: config.side,
        }))
    }

    /// A better one than `guess`, of its size.
    ///
    /// # Errors
    /// [`Error::Device`](dragentity_core::Error::Device) when the result cannot be read.
    pub async fn improve(&self, guess: &Guess) -> Result<Picture> {
        let size = [guess.picture.width, guess.picture.height];
        let [width, height] = size.map(|side| (side as usize).next_multiple_of(SIZE_MULTIPLE));
        let rgb = widened(&guess.picture.rgb, size, [width, height], 3, |v| {
            f32::from(v) / 127.5 - 1.0
        });
        let hole = widened(&guess.hidden.alpha, size, [width, height], 1, |alpha| {
            if alpha > 0 { 1.0 } else { 0.0 }
        });
        let device = Default::default();
        let made = self.network.forward(
            pictures(&[rgb], width, height, &device),
            Tensor::from_data(TensorData::new(hole, [1, 1, height, width]), &device),
        );
        // Channels last, as pictures have them, and without what was added.
        let [across, down] = size.map(|side| side as usize);
        let made = made.narrow(2, 0, down).narrow(3, 0, across);
        let made = read(made.permute([0, 2, 3, 1])).await?;
        let byte = |v: f32| ((v + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
        Picture::from_rgb(size[0], size[1], made.into_iter().map(byte).collect())
    }
}

/// [`Filling::new`], guided by a network if there is one, else by lines that are continued ([`Filling::guessed`]).
///
/// # Errors
/// Those, and of [`Structure::improve`].
pub async fn filling(
    structure: Option<&Structure>,
    picture: &Picture,
    hole: &Mask,
    source: Option<&Mask>,
) -> Result<Filling> {
    let filling = Filling::new(picture, hole, source)?;
    let Some(structure) = structure else {
        return Ok(filling.guessed());
    };
    let Some(guess) = filling.guess(structure.side) else {
        return Ok(filling);
    };
    let better = structure.improve(&guess).await?;
    filling.guided(&Guide {
        picture: &better,
        area: guess.area,
    })
}

/// Rows of `depth` values a pixel made longer, and more of them, by what stands at their ends.
fn widened(
    pixels: &[u8],
    size: [u32; 2],
    [width, height]: [usize; 2],
    depth: usize,
    value: impl Fn(u8) -> f32,
) -> Vec<f32> {
    let [across, down] = size.map(|side| side as usize);
    let mut wide = Vec::with_capacity(width * height * depth);
    for y in 0..height {
        for x in 0..width {
            let at = y.min(down - 1) * across + x.min(across - 1);
            wide.extend(pixels[at * depth..][..depth].iter().map(|&v| value(v)));
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;
    use dragentity_networks::weights::{Precision, save_file};

    /// A directory with a network that was never trained: it guesses that lines go on.
    fn directory() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let config = PlateStructureConfig {
            side: 32,
            block_out_channels: [8, 8, 16],
            dilations: vec![1, 2],
            norm_num_groups: 4,
        };
        let network = config.init::<Cpu>(&Default::default()).unwrap();
        let json = serde_json::to_vec(&config).unwrap();
        std::fs::write(dir.path().join("config.json"), json).unwrap();
        let weights = dir.path().join("model.safetensors");
        save_file(&weights, &network, Precision::F16).unwrap();
        dir
    }

    fn find(dir: &tempfile::TempDir) -> Result<Option<Structure>> {
        pollster::block_on(Structure::find(&dir.path().display().to_string()))
    }

    /// Blue above and green below, with a red thing on the border.
    fn scene() -> (Picture, Mask) {
        let (width, height) = (160, 120);
        let mut hole = Mask::empty(width, height);
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let inside = x.abs_diff(60) < 12 && y.abs_diff(60) < 9;
                hole.alpha[(y * width + x) as usize] = if inside { 255 } else { 0 };
                rgb.extend(match (inside, y < 60) {
                    (true, _) => [250, 0, 0],
                    (_, true) => [0, 0, 200],
                    _ => [0, 200, 0],
                });
            }
        }
        (Picture::from_rgb(width, height, rgb).unwrap(), hole)
    }

    #[test]
    fn a_network_that_learned_nothing_changes_no_guess_whatever_its_shape() {
        let dir = directory();
        let structure = find(&dir).unwrap().unwrap();
        let (picture, hole) = scene();
        // 32 x 24 pixels and less, most of them no multiple of what the network takes.
        for (width, height) in [(160, 120), (160, 97), (77, 120), (9, 120), (70, 3)] {
            let part = picture.resized(width, height);
            let filling = Filling::new(&part, &hole.resized(width, height), None).unwrap();
            let guess = filling.guess(structure.side).unwrap();
            assert!(guess.hidden.alpha.contains(&255) && guess.hidden.alpha.contains(&0));
            let better = pollster::block_on(structure.improve(&guess)).unwrap();
            assert_eq!(better, guess.picture, "{width} x {height}");
        }
    }

    #[test]
    fn what_is_filled_with_a_guess_is_whole() {
        let dir = directory();
        let structure = find(&dir).unwrap();
        let (picture, hole) = scene();
        let mut made =
            pollster::block_on(filling(structure.as_ref(), &picture, &hole, None)).unwrap();
        while made.advance() {}
        let made = made.finish();
        let pairs = made.rgb.chunks_exact(3).zip(picture.rgb.chunks_exact(3));
        for ((made, before), &alpha) in pairs.zip(&hole.alpha) {
            assert!(if alpha == 0 {
                made == before
            } else {
                made[0] < 20
            });
        }
    }

    #[test]
    fn a_missing_network_is_none_and_a_damaged_one_is_named() {
        let nothing = tempfile::tempdir().unwrap();
        assert!(find(&nothing).unwrap().is_none());
        let dir = directory();
        std::fs::write(dir.path().join("model.safetensors"), b"cut").unwrap();
        let said = find(&dir).err().unwrap().to_string();
        assert!(said.contains("model.safetensors"), "{said}");
        std::fs::write(dir.path().join("config.json"), br#"{"side": 9}"#).unwrap();
        let said = find(&dir).err().unwrap().to_string();
        assert!(
            said.contains("config.json") && said.contains("side"),
            "{said}"
        );
    }
}
