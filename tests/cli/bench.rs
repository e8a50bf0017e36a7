//! `dragentity bench`.

use super::{Desk, assert_refused, ending, tiny};
use serde_json::Value;

#[test]
fn layers_are_measured_and_a_models_own_steps() {
    let desk = Desk::new();
    tiny::tiny_model(&desk.path("tiny")).unwrap();
    let mut bench = desk.program();
    bench.args(["bench", "--device", "cpu", "--model", "tiny", "--json"]);
    let said = bench.assert().success().get_output().stdout.clone();
    let said = String::from_utf8(said).unwrap();
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let measures = &last["measures"];
    assert!(measures["device"].as_str().unwrap().contains("CPU"));
    let layers = measures["layers"].as_array().unwrap();
    for kind in ["Product", "Convolution", "Linear", "Attention"] {
        let own: Vec<&Value> = layers.iter().filter(|l| l["kind"] == kind).collect();
        assert!(!own.is_empty(), "{kind}");
        for layer in own {
            let number = |name: &str| layer[name].as_f64().unwrap();
            let rate = number("operations") / number("seconds");
            assert!((1e7..1e14).contains(&rate), "{layer}");
        }
    }
    let steps = &last["steps"];
    assert_eq!(steps["model"], "tiny");
    let seconds = |name: &str| steps[name].as_f64().unwrap();
    assert!(seconds("seconds") > 0.0 && seconds("first_after") > 0.0);
}

#[test]
fn a_model_that_is_not_there_is_said_before_anything_is_measured() {
    let desk = Desk::new();
    let mut bench = desk.program();
    bench.args(["bench", "--device", "cpu", "--model", "nothing"]);
    assert_refused(ending(bench), 4, &["nothing"]);
}
