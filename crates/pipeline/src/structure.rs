//! What may lie behind things, roughly: a small network guesses it, and plates are filled with patches that look like its guess
//! from afar ([`Filling::guided`]). It runs on the CPU everywhere: that takes less than the filling.

use super::transfer::{pictures, read};
use burn::tensor::{Tensor, TensorData};
use dragentity_compositor::plate::{Filling, Guide, continued};
use dragentity_core::error::Result;
use dragentity_core::scene::draft::smooth_fill;
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

    /// What may lie where `hidden` marks something (any alpha above 0; of the picture's size), as a small picture of `area`: left,
    /// top, width and height in pixels, within the picture.
    ///
    /// # Errors
    /// [`Error::Device`](dragentity_core::Error::Device) when the result cannot be read.
    pub async fn guess(&self, picture: &Picture, hidden: &Mask, area: [u32; 4]) -> Result<Picture> {
        let [width, height] = shown(area, self.side);
        let size = [width, height].map(|side| side as u32);
        let part = Picture::from_rgb(
            area[2],
            area[3],
            cropped(&picture.rgb, picture.width, 3, area),
        )?;
        let hidden = Mask::from_alpha(
            area[2],
            area[3],
            cropped(&hidden.alpha, hidden.width, 1, area),
        )?;
        // Made smaller, the thing's colours would reach beyond its mask.
        let part = smooth_fill(&part, &hidden).resized(size[0], size[1]);
        let hidden = hidden.resized(size[0], size[1]);
        let part = continued(&part, &hidden);
        let rgb = part.rgb.iter().map(|&v| f32::from(v) / 127.5 - 1.0);
        let hole = hidden.alpha.iter();
        let hole: Vec<f32> = hole.map(|&a| if a > 0 { 1.0 } else { 0.0 }).collect();
        let device = Default::default();
        let made = self.network.forward(
            pictures(&[rgb.collect()], width, height, &device),
            Tensor::from_data(TensorData::new(hole, [1, 1, height, width]), &device),
        );
        // Channels last, as pictures have them.
        let made = read(made.permute([0, 2, 3, 1])).await?;
        let byte = |v: f32| ((v + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
        Picture::from_rgb(size[0], size[1], made.into_iter().map(byte).collect())
    }
}

/// [`Filling::new`], guided by a network if there is one, else by lines that are continued ([`Filling::guessed`]).
///
/// # Errors
/// Those, and of [`Structure::guess`].
pub async fn filling(
    structure: Option<&Structure>,
    picture: &Picture,
    hole: &Mask,
    source: Option<&Mask>,
) -> Result<Filling> {
    let filling = Filling::new(picture, hole, source)?;
    let (Some(structure), Some(area)) = (structure, filling.around()) else {
        return Ok(filling.guessed());
    };
    let guess = structure.guess(picture, &filling.hidden(), area).await?;
    filling.guided(&Guide {
        picture: &guess,
        area,
    })
}

/// What an area shows of a picture `width` pixels wide, of `depth` bytes each.
fn cropped(pixels: &[u8], width: u32, depth: usize, area: [u32; 4]) -> Vec<u8> {
    let [left, top, across, down] = area.map(|side| side as usize);
    let rows = pixels.chunks_exact(width as usize * depth);
    rows.skip(top)
        .take(down)
        .flat_map(|row| &row[left * depth..(left + across) * depth])
        .copied()
        .collect()
}

/// The size at which the network is shown an area: `side` pixels along the longer side.
fn shown([_, _, width, height]: [u32; 4], side: usize) -> [usize; 2] {
    let longer = width.max(height) as f32;
    [width, height].map(|length| {
        let scaled = side as f32 * length as f32 / longer;
        // As few as leave something to look at, whatever the shape.
        let steps = (scaled / SIZE_MULTIPLE as f32).round().max(2.0);
        (steps as usize * SIZE_MULTIPLE).min(side.max(2 * SIZE_MULTIPLE))
    })
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
    fn a_guess_shows_what_is_around_and_nothing_of_the_thing() {
        let dir = directory();
        let structure = find(&dir).unwrap().unwrap();
        let (picture, hole) = scene();
        let area = [20, 20, 80, 80];
        let guess = || pollster::block_on(structure.guess(&picture, &hole, area)).unwrap();
        let guessed = guess();
        assert_eq!((guessed.width, guessed.height), (32, 32));
        assert!(guessed.rgb.chunks_exact(3).all(|p| p[0] < 20));
        // Above the thing it is blue, below it green.
        let at = |x: usize, y: usize| &guessed.rgb[(y * 32 + x) * 3..][..3];
        assert!(at(16, 4)[2] > 180 && at(16, 28)[1] > 180);
        assert_eq!(guess(), guessed);
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
    fn areas_are_shown_whatever_their_shape() {
        assert_eq!(shown([0, 0, 300, 200], 64), [64, 40]);
        assert_eq!(shown([0, 0, 200, 300], 64), [40, 64]);
        assert_eq!(shown([0, 0, 4000, 3], 64), [64, 16]);
        assert_eq!(shown([0, 0, 1, 1], 8), [16, 16]);
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
