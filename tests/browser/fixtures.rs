//! Writes what the browser tests need and git should not hold, into the folder named by the first argument:
//!
//! - `down_block.json`, `down_block.weights.safetensors`, `.inputs.safetensors`, `.expected.safetensors`: one block of
//!   the UNet with its synthetic weights and inputs, and the reference's output from tests/goldens; `down_block.tolerance`: how far from it is right.
//! - `tiny/`: a model directory like models/mini, but with so few channels that WebGPU emulated on a CPU runs it, and
//!   with random weights;
//! - `svd/`: Stable Video Diffusion's directory as published, as small, with synthetic weights;
//! - `drag/`: a ControlNet for it, as DragAnything's was published;
//! - `hollow/`: the same with a larger UNet of zeros, which takes a while to read;
//! - `sam.safetensors`: a SAM of the same kind;
//! - `person.png`, `person.mask`: a rendered person, and where it is, a byte a pixel.

#[path = "../common/person.rs"]
mod person;

use burn::backend::Flex;
use dragentity_networks::weights::tensor_list;
use dragentity_testkit::{
    DOWN_BLOCK, DOWN_BLOCK_TOLERANCE, down_block_config, golden_file, parameter, safetensors_file,
    uniform,
};
use dragentity_testkit::{steer, svd, tiny};
use std::error::Error;
use std::path::{Path, PathBuf};

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(
        std::env::args()
            .nth(1)
            .ok_or("name the folder to write to")?,
    );
    std::fs::create_dir_all(&out)?;
    down_block(&out)?;
    let (picture, mask) = person::person();
    picture.save(out.join("person.png"))?;
    std::fs::write(out.join("person.mask"), mask.into_raw())?;
    tiny::tiny_model(&out.join("tiny"))?;
    let published = |name: &str| {
        let folder = out.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir(&folder)?;
        svd::write_published(&folder);
        Ok::<_, std::io::Error>(folder)
    };
    published("svd")?;
    steer::write_draganything(&out.join("drag"));
    // Of 154 MB in half precision.
    svd::write_hollow_unet(&published("hollow")?, [256, 512]);
    tiny::tiny_sam(&out.join("sam.safetensors"))
}

/// The case `down_block` of crates/networks/tests/parity_unet.rs.
fn down_block(out: &Path) -> Result<(), Box<dyn Error>> {
    let block = down_block_config().init::<Flex>(&Default::default());
    let weights: Tensors = tensor_list(&block)
        .into_iter()
        .map(|(name, shape)| {
            let values = parameter(&name, &shape);
            (name, shape, values)
        })
        .collect();
    let inputs: Tensors = [
        ("x", vec![6, 32, 6, 4]),
        ("temb", vec![6, 16]),
        ("context", vec![2, 7, 12]),
    ]
    .into_iter()
    .map(|(name, shape)| {
        let values = uniform(&format!("unet.{name}"), shape.iter().product());
        let values = values.into_iter().map(|v| v as f32).collect();
        (name.to_owned(), shape, values)
    })
    .collect();
    let (values, shape) = golden_file("unet.safetensors")
        .read("down_block")
        .expect("the golden");
    let expected: Tensors = vec![("down_block".to_owned(), shape, values)];
    std::fs::write(out.join("down_block.json"), DOWN_BLOCK)?;
    let tolerance = DOWN_BLOCK_TOLERANCE.to_string();
    std::fs::write(out.join("down_block.tolerance"), tolerance)?;
    for (name, tensors) in [
        ("weights", weights),
        ("inputs", inputs),
        ("expected", expected),
    ] {
        let file = out.join(format!("down_block.{name}.safetensors"));
        std::fs::write(file, safetensors_file(&tensors))?;
    }
    Ok(())
}
