//! The relation module against the paper's equations in plain NumPy (`goldens/make_relation.py`).

use burn::backend::Flex;
use burn::tensor::backend::Backend;
use burn::tensor::{ElementConversion, Tensor, TensorData};
use burn_store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use dragentity::model::relation::{Relation, RelationConfig};
use safetensors::SafeTensors;

const GOLDEN: &[u8] = include_bytes!("goldens/relation.safetensors");

fn tensor<B: Backend, const D: usize>(name: &str, device: &B::Device) -> Tensor<B, D> {
    let file = SafeTensors::deserialize(GOLDEN).unwrap();
    let view = file.tensor(name).unwrap();
    let values: Vec<f32> = view
        .data()
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    Tensor::from_data(TensorData::new(values, view.shape().to_vec()), device)
}

fn parity<B: Backend>(device: &B::Device) {
    let mut relation: Relation<B> = RelationConfig::new()
        .with_dim(10)
        .with_dim_out(12)
        .init(device);
    let mut store = SafetensorsStore::from_bytes(Some(GOLDEN.to_vec()))
        .with_from_adapter(PyTorchToBurnAdapter)
        .with_key_remapping(r"^relation\.", "")
        .allow_partial(true);
    let report = relation.load_from(&mut store).unwrap();
    assert!(report.missing.is_empty(), "{report:?}");
    assert_eq!(report.applied.len(), 7, "{report:?}");

    let out = relation.forward(
        tensor("features", device),
        tensor("boxes", device),
        tensor("valid", device),
    );
    let expected: Tensor<B, 3> = tensor("embeddings", device);
    let worst: f32 = (out - expected).abs().max().into_scalar().elem();
    // Values reach about 6; f32 rounding through two softmaxes and GPU approximations of atan2 and exp.
    assert!(worst < 2e-4, "differs by {worst}");
}

#[test]
fn on_flex() {
    parity::<Flex>(&Default::default());
}

#[cfg(feature = "wgpu")]
#[test]
fn on_wgpu() {
    parity::<burn::backend::Wgpu>(&Default::default());
}
