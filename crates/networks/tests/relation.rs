//! The relation module against the paper's equations in plain NumPy (`goldens/make_relation.py`).

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use dragentity_networks::dragentity::relation::RelationConfig;

fn embeddings_are_those_of_the_equations<B: Backend>(device: &B::Device) {
    let golden = dragentity_testkit::golden_file("relation.safetensors");
    let config = RelationConfig {
        dim: 10,
        dim_out: 12,
        ..Default::default()
    };
    // The file holds inputs and output beside the weights.
    let ours = ["features", "boxes", "valid", "embeddings"];
    let weights = golden.renamed(|name| (!ours.contains(&name)).then(|| name.to_owned()));
    let (relation, report) = weights.load(config.init::<B>(device).unwrap()).unwrap();
    assert_eq!(report.loaded, 7);
    let data = |name: &str| {
        let (values, shape) = golden.read(name).unwrap();
        TensorData::new(values, shape)
    };
    let out = relation.forward(
        Tensor::from_data(data("features"), device),
        Tensor::from_data(data("boxes"), device),
        Tensor::from_data(data("valid"), device),
    );
    // f32 against f64: rounding through two softmaxes, and a GPU's own atan2 and exp.
    dragentity_testkit::assert_golden(&golden, "embeddings", out, 2e-5);
}

dragentity_testkit::on_each_backend!(embeddings_are_those_of_the_equations);
