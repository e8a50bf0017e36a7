//! A person's joints, and its mask divided into those of its parts, on a device chosen at run time.

use crate::parts::PersonParser;
use crate::pose::PoseFinder;
use crate::schp::SchpParser;
use burn::tensor::backend::Backend;
use dragentity_core::Result;
use dragentity_core::scene::skeleton::Skeleton;
use dragentity_core::scene::{Mask, Part, Picture};
use dragentity_networks::device::{Device, Task};
use dragentity_networks::weights::{ModelDir, Weights};

/// Whose weights tell the parts.
#[derive(Clone, Copy, Debug)]
pub enum ParserWeights<'a> {
    /// The human parser in a model directory.
    Model(&'a str),
    /// SCHP's file.
    Schp(&'a str),
    /// BlazePose's file: parts by bones.
    Pose(&'a str),
}

/// The parts of the person in `picture` that `mask` covers. No generics: the parsers are compiled here, not in every crate
/// that calls.
///
/// # Errors
/// Those of [`Device::run`], of loading the weights, and of [`PersonParser::parts`], [`SchpParser::parts`] or
/// [`PoseFinder::parts`].
pub fn split_person(
    device: Device,
    weights: ParserWeights<'_>,
    picture: &Picture,
    mask: &Mask,
) -> Result<Vec<(Part, Mask)>> {
    device.run(Split {
        weights,
        picture,
        mask,
    })?
}

struct Split<'a> {
    weights: ParserWeights<'a>,
    picture: &'a Picture,
    mask: &'a Mask,
}

impl Task for Split<'_> {
    type Output = Result<Vec<(Part, Mask)>>;

    fn run<B: Backend>(self, device: B::Device, _name: String) -> Self::Output {
        pollster::block_on(async {
            match self.weights {
                ParserWeights::Schp(file) => {
                    let parser = SchpParser::<B>::load(file, &device).await?;
                    parser.parts(self.picture, self.mask, &device).await
                }
                ParserWeights::Pose(file) => {
                    let weights = Weights::open(file, &mut |_, _| {}).await?;
                    let finder = PoseFinder::<B>::load(&weights, &device).await?;
                    finder.parts(self.picture, self.mask).await
                }
                ParserWeights::Model(location) => {
                    let dir = ModelDir::new(location);
                    let parser = PersonParser::<B>::load(&dir, &device).await?;
                    parser.parts(self.picture, self.mask, &device).await
                }
            }
        })
    }
}

/// The joints of the person in `picture` that `mask` covers, by BlazePose's weights in the file `weights`. No generics, as
/// [`split_person`].
///
/// # Errors
/// Those of [`Device::run`], of loading the weights, and of [`PoseFinder::find`].
pub fn find_joints(
    device: Device,
    weights: &str,
    picture: &Picture,
    mask: &Mask,
) -> Result<Skeleton> {
    device.run(Joints {
        weights,
        picture,
        mask,
    })?
}

struct Joints<'a> {
    weights: &'a str,
    picture: &'a Picture,
    mask: &'a Mask,
}

impl Task for Joints<'_> {
    type Output = Result<Skeleton>;

    fn run<B: Backend>(self, device: B::Device, _name: String) -> Self::Output {
        pollster::block_on(async {
            let weights = Weights::open(self.weights, &mut |_, _| {}).await?;
            let finder = PoseFinder::<B>::load(&weights, &device).await?;
            finder.find(self.picture, self.mask).await
        })
    }
}
